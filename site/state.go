package site

import "slices"

// event is what happened to a site. Only Service.move turns one into a change of State.
type event string

const (
	eventMade   event = "made"   // its disk is complete
	eventWake   event = "wake"   // a start begins
	eventWoke   event = "woke"   // it answers
	eventAdopt  event = "adopt"  // it was seen running
	eventDoze   event = "doze"   // it was frozen
	eventRest   event = "rest"   // a stop begins
	eventRested event = "rested" // it is stopped
	eventEnded  event = "ended"  // it no longer runs, whatever it was doing
	eventFail   event = "fail"   // see Fault
	eventRemake event = "remake" // a failed creation is tried again
	eventDelete event = "delete" // the end begins; there is no way back
)

// transition is one row of the table: where an event leads, and from where it may happen.
type transition struct {
	to   State
	from []State
}

// transitions is the whole life of a site. A pair that is not here does not happen.
var transitions = map[event]transition{
	eventMade:   {Asleep, []State{Creating}},
	eventWake:   {Waking, []State{Asleep, Failed, Dozing}},
	eventWoke:   {Awake, []State{Waking}},
	eventAdopt:  {Awake, []State{Asleep, Failed, Waking, Stopping, Dozing}},
	eventDoze:   {Dozing, []State{Awake, Asleep, Failed, Waking, Stopping}},
	eventRest:   {Stopping, []State{Awake, Dozing, Failed}},
	eventRested: {Asleep, []State{Stopping}},
	eventEnded:  {Asleep, []State{Waking, Awake, Dozing, Stopping}},
	eventFail:   {Failed, []State{Creating, Asleep, Waking, Awake, Dozing, Stopping, Failed}},
	eventRemake: {Creating, []State{Failed}},
	eventDelete: {Deleting, []State{Creating, Asleep, Waking, Awake, Dozing, Stopping, Failed}},
}

// states are all there are.
var states = []State{Creating, Asleep, Waking, Awake, Dozing, Stopping, Failed, Deleting}

// step says where a site in from goes when e happens; false when e cannot happen there.
func step(from State, e event) (State, bool) {
	t, known := transitions[e]
	if !known || !slices.Contains(t.from, from) {
		return from, false
	}
	return t.to, true
}

// action is the work a site needs next.
type action string

const (
	actNothing action = ""
	actCreate  action = "create"
	actWake    action = "wake"
	actStop    action = "stop"
	actDelete  action = "delete"
	actLimit   action = "limit" // new limits; State stays as it is
)

// demand is what was asked of a site beyond its Want, until the work that answers it begins.
type demand struct {
	wake bool // a visit, or a start
	rest bool // idle for long enough, or a restart
}

// next decides what to do with a site: deleting goes before all, making before waking, stopping before starting again.
func next(s Site, d demand) action {
	switch {
	case s.Want == Gone:
		return actDelete
	case s.State == Creating:
		return actCreate
	case mustStop(s, d):
		return actStop
	case s.Want == Up && d.wake:
		return wakeOf(s)
	}
	return actNothing
}

func mustStop(s Site, d demand) bool {
	switch s.State {
	case Awake, Dozing:
		return s.Want == Down || d.rest
	case Failed: // something of it may still run
		return d.rest && !s.MadeAt.IsZero()
	}
	return false
}

// wakeOf is how a resting site comes up: one that never had a disk is made first.
func wakeOf(s Site) action {
	switch s.State {
	case Failed:
		if s.MadeAt.IsZero() {
			return actCreate
		}
		return actWake
	case Asleep, Dozing:
		return actWake
	}
	return actNothing
}
