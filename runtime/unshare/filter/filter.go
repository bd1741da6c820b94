// Package filter is what a program of a site may ask of the kernel (RULE K): an allow-list of calls, of the arguments of
// a few, and of socket families, as one seccomp program.
//
// Nothing is decided by being forgotten: a number that stands nowhere in the table answers ENOSYS, so a kernel that
// learns a new call tomorrow does not offer it to a site before somebody has read what it does.
//
//	allowed   goes through                          table.go
//	checked   goes through with these arguments     checked.go
//	refused   EPERM: it exists, and is not for you  table.go
//	the rest  ENOSYS: libraries fall back
//
// It is compiled by the runtime and loaded by the stage, so that what runs on the tenant's side needs no compiler.
package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"petitpont/runtime/unshare/stage"
)

// The switches: what Program leaves open when a test asks for it. Those of refused are themes of the table.
const (
	Mounts     = "seccomp:mounts"
	Namespaces = "seccomp:namespaces"
	Machine    = "seccomp:machine"
	BPF        = "seccomp:bpf"
	IOURing    = "seccomp:io_uring"
	Keys       = "seccomp:keys"
	Tracing    = "seccomp:tracing"
	Surface    = "seccomp:surface"
	Pages      = "seccomp:pages"
	Segments   = "seccomp:segments"
	Families   = "seccomp:families"
	Protocols  = "seccomp:protocols"
	Terminals  = "seccomp:terminals"
	Devices    = "seccomp:devices"
	Persona    = "seccomp:personality"
	Hidden     = "seccomp:hidden flags"
	Shared     = "seccomp:shared numbers"
	Foreign    = "seccomp:foreign"
)

// Program is the filter for this machine's processor. Names in open leave a part of it out.
func Program(open ...string) ([]stage.Filter, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	var code []bpf.Instruction
	code = append(code, door(info, slices.Contains(open, Foreign))...)
	code = append(code, bpf.LoadAbsolute{Off: offNumber, Size: 4})
	for _, c := range checks(open) {
		if n, ok := info.SyscallNames[c.call]; ok {
			code = append(code, c.assemble(n)...)
		}
	}
	code = append(code, ranges(decisions(info, open))...)
	raw, err := bpf.Assemble(append(code, enosys))
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	return instructions(raw), nil
}

// Where the kernel puts what it asks about (struct seccomp_data; both processors we know are little endian).
const offNumber, offArch, offArgs = 0, 4, 16

// x32 marks a call by the numbers of a third x86 interface, which nobody uses and where filters have been fooled before.
const x32 = 0x40000000

var (
	pass       = verdict(unix.SECCOMP_RET_ALLOW)
	eperm      = errno(unix.EPERM)
	enosys     = errno(unix.ENOSYS)
	noFamily   = errno(unix.EAFNOSUPPORT)
	noProtocol = errno(unix.EPROTONOSUPPORT)
	noOption   = errno(unix.ENOPROTOOPT)
)

func verdict(v uint32) bpf.Instruction   { return bpf.RetConstant{Val: v} }
func errno(e unix.Errno) bpf.Instruction { return verdict(unix.SECCOMP_RET_ERRNO | uint32(e)) }
func load(arg uint32) bpf.Instruction    { return bpf.LoadAbsolute{Off: offArgs + 8*arg, Size: 4} } // its lower half: all are ints
func when(v uint32, skip uint8) bpf.JumpIf {
	return bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: skip}
}

// door lets in calls by this processor's own numbers only: another interface has other numbers for the same things.
func door(info *arch.Info, open bool) []bpf.Instruction {
	foreign := enosys
	if open {
		foreign = pass
	}
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		foreign,
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
		foreign,
	}
}

// decisions maps each number that has one verdict to it. What is missing falls through to ENOSYS.
func decisions(info *arch.Info, open []string) map[int]bpf.Instruction {
	all := map[int]bpf.Instruction{}
	put := func(groups []group, v bpf.Instruction) {
		for _, g := range groups {
			answer := v
			if slices.Contains(open, g.theme) {
				answer = pass
			}
			for _, name := range g.names() {
				if n, ok := info.SyscallNames[name]; ok {
					all[n] = answer
				}
			}
		}
	}
	put(allowed, pass)
	put(refused, eperm)
	put(absent, enosys)
	return all
}

// ranges asks for each run of neighbouring numbers with one verdict. The kernel remembers numbers that always pass, so
// the length of the list costs nothing later.
func ranges(all map[int]bpf.Instruction) []bpf.Instruction {
	var code []bpf.Instruction
	numbers := sorted(all)
	for i := 0; i < len(numbers); {
		first, last := numbers[i], numbers[i]
		for i++; i < len(numbers) && numbers[i] == last+1 && all[numbers[i]] == all[first]; i++ {
			last = numbers[i]
		}
		code = append(code,
			bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: uint32(last), SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: uint32(first), SkipFalse: 1},
			all[first])
	}
	return code
}

func sorted(all map[int]bpf.Instruction) []int {
	var n []int
	for k := range all {
		n = append(n, k)
	}
	slices.Sort(n)
	return n
}

func (g group) names() []string { return strings.Fields(g.calls) }

func instructions(raw []bpf.RawInstruction) []stage.Filter {
	var f []stage.Filter
	for _, r := range raw {
		f = append(f, stage.Filter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
	}
	return f
}
