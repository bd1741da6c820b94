package runtime

// Ledger is what the volume that containers' disks are on holds and owes, in bytes (RULE LEDGER).
type Ledger struct {
	Volume   int64 // its size
	Used     int64 // taken of it, by whatever is there
	Promised int64 // to containers, as if their disks were full
	Held     int64 // of Promised, what their disks have taken already
	Reserve  int64 // never promised
	Free     int64 // may still be promised; below zero when more is promised than there is
}

// Stray is something of this driver's that belongs to no container it knows.
type Stray struct {
	Kind StrayKind
	Name string // a path, or the name of a kernel object
}

// StrayKind says what it is, and so what can be done about it.
type StrayKind string

// The kinds. Opening the driver again removes those of the kernel; folders it never touches (RULE OWN).
const (
	StrayFolder StrayKind = "folder" // a container's folder without a record that can be read
	StrayCgroup StrayKind = "cgroup"
	StrayLink   StrayKind = "link"
	StrayLoop   StrayKind = "loop"
)
