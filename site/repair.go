package site

import "petitpont/runtime"

// Repair is one thing to do so that what is and what should be agree again (RULE RECONCILE).
type Repair struct {
	Kind RepairKind
	ID   ID
	Seen runtime.Info // zero when nothing was seen
}

// RepairKind says what to do.
type RepairKind string

// The repairs.
const (
	Adopt      RepairKind = "adopt"      // it runs and may: let visitors in
	Doze       RepairKind = "doze"       // it is frozen: remember that
	Rest       RepairKind = "rest"       // it does not run: it is asleep
	Make       RepairKind = "make"       // its creation was cut short before the disk was there
	Finish     RepairKind = "finish"     // its creation was cut short after the disk was there
	Halt       RepairKind = "halt"       // it runs and must not
	Erase      RepairKind = "erase"      // its deletion was cut short
	Missing    RepairKind = "missing"    // its disk is gone: it fails, and never gets a fresh one
	Quarantine RepairKind = "quarantine" // no site owns it: stop it and show it, never destroy it (RULE OWN)
)

// repairs compares the register with what the driver sees. It is pure, and says nothing about what agrees.
func repairs(wanted []Site, seen []runtime.Info) []Repair {
	infos := make(map[ID]runtime.Info, len(seen))
	for _, i := range seen {
		infos[ID(i.ID)] = i
	}
	var all []Repair
	for _, s := range wanted {
		i := infos[s.ID] // Absent when not seen
		delete(infos, s.ID)
		if kind := repairOf(s, i); kind != "" {
			all = append(all, Repair{Kind: kind, ID: s.ID, Seen: i})
		}
	}
	for _, i := range seen {
		if _, stray := infos[ID(i.ID)]; stray {
			all = append(all, Repair{Kind: Quarantine, ID: ID(i.ID), Seen: i})
		}
	}
	return all
}

func repairOf(s Site, seen runtime.Info) RepairKind {
	switch {
	case s.Want == Gone:
		return Erase
	case s.MadeAt.IsZero():
		return repairUnmade(s, seen.Status)
	}
	switch seen.Status {
	case runtime.Absent:
		if s.State == Failed && s.Fault != nil && s.Fault.Code == CodeDiskMissing {
			return "" // said already
		}
		return Missing
	case runtime.Running:
		return repairUp(s, Awake, Adopt)
	case runtime.Frozen:
		return repairUp(s, Dozing, Doze)
	}
	switch s.State {
	case Waking, Awake, Dozing, Stopping:
		return Rest
	}
	return ""
}

func repairUnmade(s Site, seen runtime.Status) RepairKind {
	switch {
	case seen != runtime.Absent:
		return Finish
	case s.State == Creating, s.Fault != nil && s.Fault.Code == CodeRuntimeDown:
		return Make
	}
	return "" // it failed, and its owner knows why
}

func repairUp(s Site, agrees State, otherwise RepairKind) RepairKind {
	switch {
	case s.Want == Down:
		return Halt
	case s.State == agrees:
		return ""
	}
	return otherwise
}
