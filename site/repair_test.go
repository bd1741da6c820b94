package site

import (
	"slices"
	"testing"
	"time"

	"petitpont/runtime"
)

func TestRepairs(t *testing.T) {
	made := time.Now()
	lost := &Fault{Code: CodeDiskMissing}
	for name, c := range map[string]struct {
		site Site
		seen runtime.Status
		want RepairKind
	}{
		"asleep and stopped agree":                      {Site{State: Asleep, Want: Up, MadeAt: made}, runtime.Stopped, ""},
		"awake and running agree":                       {Site{State: Awake, Want: Up, MadeAt: made}, runtime.Running, ""},
		"dozing and frozen agree":                       {Site{State: Dozing, Want: Up, MadeAt: made}, runtime.Frozen, ""},
		"failed and stopped agree":                      {Site{State: Failed, Want: Up, MadeAt: made}, runtime.Stopped, ""},
		"stopped by its owner agrees":                   {Site{State: Asleep, Want: Down, MadeAt: made}, runtime.Stopped, ""},
		"daemon died while waking, it came up":          {Site{State: Waking, Want: Up, MadeAt: made}, runtime.Running, Adopt},
		"daemon died while waking, it did not":          {Site{State: Waking, Want: Up, MadeAt: made}, runtime.Stopped, Rest},
		"daemon died while stopping, it still runs":     {Site{State: Stopping, Want: Up, MadeAt: made}, runtime.Running, Adopt},
		"daemon died while its owner's stop went on":    {Site{State: Stopping, Want: Down, MadeAt: made}, runtime.Running, Halt},
		"daemon died while stopping, it has stopped":    {Site{State: Stopping, Want: Down, MadeAt: made}, runtime.Stopped, Rest},
		"host rebooted":                                 {Site{State: Awake, Want: Up, MadeAt: made}, runtime.Stopped, Rest},
		"host rebooted while dozing":                    {Site{State: Dozing, Want: Up, MadeAt: made}, runtime.Stopped, Rest},
		"asleep in the register, but it runs":           {Site{State: Asleep, Want: Up, MadeAt: made}, runtime.Running, Adopt},
		"failed in the register, but it runs":           {Site{State: Failed, Want: Up, MadeAt: made}, runtime.Running, Adopt},
		"put down, but it runs":                         {Site{State: Asleep, Want: Down, MadeAt: made}, runtime.Running, Halt},
		"put down, but it is frozen":                    {Site{State: Asleep, Want: Down, MadeAt: made}, runtime.Frozen, Halt},
		"awake in the register, but frozen":             {Site{State: Awake, Want: Up, MadeAt: made}, runtime.Frozen, Doze},
		"its disk is gone":                              {Site{State: Asleep, Want: Up, MadeAt: made}, runtime.Absent, Missing},
		"its disk is gone while awake":                  {Site{State: Awake, Want: Up, MadeAt: made}, runtime.Absent, Missing},
		"its disk is gone after another failure":        {Site{State: Failed, Want: Up, MadeAt: made, Fault: &Fault{Code: CodeSilent}}, runtime.Absent, Missing},
		"its disk is gone, as was said":                 {Site{State: Failed, Want: Up, MadeAt: made, Fault: lost}, runtime.Absent, ""},
		"its disk came back":                            {Site{State: Failed, Want: Up, MadeAt: made, Fault: lost}, runtime.Stopped, ""},
		"creation cut short before the disk":            {Site{State: Creating, Want: Up}, runtime.Absent, Make},
		"creation cut short after the disk":             {Site{State: Creating, Want: Up}, runtime.Stopped, Finish},
		"creation failed, and its owner knows":          {Site{State: Failed, Want: Up, Fault: &Fault{Code: CodeHostDisk}}, runtime.Absent, ""},
		"creation failed because the runtime was down":  {Site{State: Failed, Want: Up, Fault: &Fault{Code: CodeRuntimeDown}}, runtime.Absent, Make},
		"creation said to have failed, but it was made": {Site{State: Failed, Want: Up, Fault: &Fault{Code: CodeRuntimeDown}}, runtime.Stopped, Finish},
		"deletion cut short before the destroy":         {Site{State: Deleting, Want: Gone, MadeAt: made}, runtime.Running, Erase},
		"deletion cut short after the destroy":          {Site{State: Deleting, Want: Gone, MadeAt: made}, runtime.Absent, Erase},
		"deletion only wanted so far":                   {Site{State: Awake, Want: Gone, MadeAt: made}, runtime.Running, Erase},
		"deletion of one never made":                    {Site{State: Creating, Want: Gone}, runtime.Absent, Erase},
	} {
		t.Run(name, func(t *testing.T) {
			c.site.ID = "aaaaaaaaaa"
			var seen []runtime.Info
			if c.seen != runtime.Absent {
				seen = []runtime.Info{{ID: "aaaaaaaaaa", Status: c.seen}}
			}
			var got RepairKind
			switch all := repairs([]Site{c.site}, seen); len(all) {
			case 0:
			case 1:
				got = all[0].Kind
			default:
				t.Fatalf("repairs %v", all)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A site's disk is only ever made when it never had one: no pair of state, want and status may lead elsewhere.
func TestRepairsNeverMakeASecondDisk(t *testing.T) {
	for _, state := range states {
		for _, want := range []Want{Up, Down, Gone} {
			for _, code := range []Code{"", CodeRuntimeDown, CodeDiskMissing} {
				s := Site{ID: "aaaaaaaaaa", State: state, Want: want, MadeAt: time.Now(), Fault: &Fault{Code: code}}
				for _, r := range repairs([]Site{s}, nil) {
					if r.Kind == Make {
						t.Errorf("%s, %s, %s: %s", state, want, code, r.Kind)
					}
				}
				if act := next(s, demand{wake: true}); act == actCreate && state != Creating {
					t.Errorf("%s, %s: next is %s", state, want, act)
				}
			}
		}
	}
}

func TestRepairsOfStrays(t *testing.T) {
	ours := Site{ID: "aaaaaaaaaa", State: Asleep, Want: Up, MadeAt: time.Now()}
	seen := []runtime.Info{
		{ID: "bbbbbbbbbb", Status: runtime.Running},
		{ID: "aaaaaaaaaa", Status: runtime.Stopped},
		{ID: "cccccccccc", Status: runtime.Stopped},
	}
	var got []string
	for _, r := range repairs([]Site{ours}, seen) {
		got = append(got, string(r.ID)+" "+string(r.Kind))
	}
	if want := []string{"bbbbbbbbbb quarantine", "cccccccccc quarantine"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
