package probe

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Modules is the probe of which the host sees whether its kernel has loaded something.
const Modules = "modules for the asking"

var loading = []Probe{
	{Name: Modules, Kind: Surface, About: "families, protocols, file systems, ciphers and line disciplines by name", Wall: "seccomp:families", Seen: true, try: loadByName},
}

// Loadable are modules that loadByName would have a kernel load, as far as nothing of petitpont's or of a usual host's
// loads them as well.
var Loadable = []string{
	"af_alg", "algif_hash", "algif_skcipher", "sctp", "dccp", "dccp_ipv4", "l2tp_ip", "tipc", "rxrpc", "rds", "vsock", "can", "can_raw",
	"nfc", "phonet", "ax25", "netrom", "rose", "x25", "appletalk", "atm", "pppox", "af_key", "llc2", "kcm", "qrtr", "smc",
	"ieee802154_socket", "caif_socket", "bluetooth", "mctp", "cramfs", "romfs", "sysv", "befs", "ufs", "minix", "hfsplus", "nilfs2", "n_hdlc", "n_gsm",
}

// loadByName asks for everything that the kernel has, or had, in modules. Answers do not tell: a name without a module
// and a refusal look alike from inside.
func loadByName(World) (string, error) {
	for family := range 46 {
		_ = openSocket(family, unix.SOCK_SEQPACKET, 0)
	}
	for _, protocol := range []int{unix.IPPROTO_SCTP, unix.IPPROTO_DCCP, unix.IPPROTO_L2TP} {
		for kind := unix.SOCK_STREAM; kind <= unix.SOCK_DCCP; kind++ {
			_ = openSocket(unix.AF_INET, kind, protocol)
		}
	}
	for _, kind := range []string{"cramfs", "romfs", "sysv", "befs", "ufs", "minix", "hfsplus", "nilfs2"} {
		_ = call(unix.SYS_MOUNT, text("none"), text("/tmp"), text(kind), 0, 0)
	}
	ciphers()
	disciplines()
	return "", nil
}

func ciphers() {
	s, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(s) }()
	for kind, name := range map[string]string{"hash": "wp512", "skcipher": "cbc(anubis)"} {
		_ = unix.Bind(s, &unix.SockaddrALG{Type: kind, Name: name})
	}
}

// disciplines asks a terminal for N_HDLC and N_GSM0710.
func disciplines() {
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	for _, n := range []int32{13, 21} {
		_ = call(unix.SYS_IOCTL, f.Fd(), unix.TIOCSETD, uintptr(unsafe.Pointer(&n)))
	}
}
