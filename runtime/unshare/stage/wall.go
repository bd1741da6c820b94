package stage

// A wall is one protection of a box, by the name that self-checks show. Each can be left out by a test, so that the
// probe that watches it is seen to fail; a petitpont-box that is not built for tests knows no such thing.
const (
	Pivot       = "pivot_root"         // the host's tree is let go of, not just hidden behind a chroot
	UserSpace   = "user namespace"     // the box's root is nobody on the host
	IPCSpace    = "ipc namespace"      //
	UTSSpace    = "uts namespace"      //
	GroupSpace  = "cgroup namespace"   //
	NoNewPrivs  = "no_new_privs"       // no program gains rights by being executed
	NoSuid      = "nosuid"             // and none of its disk's files lends its owner's
	NoDev       = "nodev"              // device nodes of the tenant's are dead
	OwnProc     = "own /proc"          // of its own pid namespace
	ProcMasks   = "masked /proc"       //
	ProcFixed   = "read-only /proc"    //
	SysMasks    = "masked /sys"        //
	SysFixed    = "read-only /sys"     //
	OwnLayer    = "own layer"          // what is written goes to the site's disk, never to the template's files
	OwnDev      = "own /dev"           // made anew from six of the host's nodes
	DevFixed    = "read-only /dev"     //
	Ceilings    = "namespace ceilings" // numbers of its own user namespace
	Terminals64 = "pty limit"          //
	NetSpace    = "network namespace"  //
	ProcLimits  = "process limits"     // setrlimit
	Capability  = "capability "        // followed by the name without CAP_: the box does not have it
)
