package site

import (
	"slices"
	"testing"
	"time"
)

// want is the drawing of ARCHITECTURE.md as a matrix: the states a site may go to from each, in one step.
var want = map[State][]State{
	Creating: {Asleep, Failed, Deleting},
	Asleep:   {Waking, Awake, Dozing, Failed, Deleting},
	Waking:   {Awake, Asleep, Dozing, Failed, Deleting},
	Awake:    {Dozing, Stopping, Asleep, Failed, Deleting},
	Dozing:   {Waking, Awake, Stopping, Asleep, Failed, Deleting},
	Stopping: {Asleep, Awake, Dozing, Failed, Deleting},
	Failed:   {Waking, Awake, Dozing, Stopping, Creating, Failed, Deleting},
	Deleting: {},
}

func TestStep(t *testing.T) {
	for _, from := range states {
		for _, to := range states {
			allowed := false
			for e := range transitions {
				if got, ok := step(from, e); ok && got == to {
					allowed = true
				}
			}
			if should := slices.Contains(want[from], to); allowed != should {
				t.Errorf("%s -> %s: allowed %v, want %v", from, to, allowed, should)
			}
		}
	}
}

func TestStepThatCannotHappenStays(t *testing.T) {
	for e, tr := range transitions {
		for _, from := range states {
			got, ok := step(from, e)
			if should := slices.Contains(tr.from, from); ok != should || (!ok && got != from) {
				t.Errorf("%s in %s: got %s, %v", e, from, got, ok)
			}
		}
	}
	if got, ok := step(Asleep, "no such event"); ok || got != Asleep {
		t.Errorf("an unknown event led to %s", got)
	}
}

func TestEveryStateCanReachDeleting(t *testing.T) {
	for _, from := range states {
		if !reaches(from, Deleting, map[State]bool{}) {
			t.Errorf("%s cannot reach deleting", from)
		}
	}
}

func TestEveryStateCanBeReached(t *testing.T) {
	for _, to := range states {
		if !reaches(Creating, to, map[State]bool{}) {
			t.Errorf("creating cannot reach %s", to)
		}
	}
}

func reaches(from, to State, seen map[State]bool) bool {
	if from == to {
		return true
	}
	seen[from] = true
	for e := range transitions {
		if s, ok := step(from, e); ok && !seen[s] && reaches(s, to, seen) {
			return true
		}
	}
	return false
}

func TestNext(t *testing.T) {
	made := time.Now()
	wake, rest, both := demand{wake: true}, demand{rest: true}, demand{wake: true, rest: true}
	for name, c := range map[string]struct {
		site Site
		ask  demand
		want action
	}{
		"nothing asked of an asleep one":               {Site{State: Asleep, Want: Up, MadeAt: made}, demand{}, actNothing},
		"a new one is made":                            {Site{State: Creating, Want: Up}, demand{}, actCreate},
		"a new one is made even when it shall be down": {Site{State: Creating, Want: Down}, demand{}, actCreate},
		"a visit wakes":                                {Site{State: Asleep, Want: Up, MadeAt: made}, wake, actWake},
		"a visit does not wake a stopped one":          {Site{State: Asleep, Want: Down, MadeAt: made}, wake, actNothing},
		"a visit of an awake one needs nothing":        {Site{State: Awake, Want: Up, MadeAt: made}, wake, actNothing},
		"a dozing one is woken":                        {Site{State: Dozing, Want: Up, MadeAt: made}, wake, actWake},
		"a failed one is tried again":                  {Site{State: Failed, Want: Up, MadeAt: made}, wake, actWake},
		"a failed creation is tried again":             {Site{State: Failed, Want: Up}, wake, actCreate},
		"idle stops":                                   {Site{State: Awake, Want: Up, MadeAt: made}, rest, actStop},
		"idle of an asleep one needs nothing":          {Site{State: Asleep, Want: Up, MadeAt: made}, rest, actNothing},
		"down stops":                                   {Site{State: Awake, Want: Down, MadeAt: made}, demand{}, actStop},
		"a restart stops first":                        {Site{State: Awake, Want: Up, MadeAt: made}, both, actStop},
		"a restart of a failed one stops first":        {Site{State: Failed, Want: Up, MadeAt: made}, both, actStop},
		"gone deletes an awake one":                    {Site{State: Awake, Want: Gone, MadeAt: made}, both, actDelete},
		"gone deletes one being made":                  {Site{State: Creating, Want: Gone}, demand{}, actDelete},
		"gone goes on deleting":                        {Site{State: Deleting, Want: Gone}, demand{}, actDelete},
	} {
		t.Run(name, func(t *testing.T) {
			if got := next(c.site, c.ask); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
