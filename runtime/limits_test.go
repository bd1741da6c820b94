package runtime

import "testing"

func TestFilledKeepsWhatIsSaidAndTakesTmpFromMemory(t *testing.T) {
	said := Limits{Memory: 512 << 20, Procs: 7, Connections: 9}
	got := said.Filled()
	if got.Memory != said.Memory || got.Procs != 7 || got.Connections != 9 || got.Rate != 0 {
		t.Errorf("%+v", got)
	}
	if got.Tmp != 128<<20 || got.Files == 0 || got.Watches == 0 || got.Terminals == 0 || got.IO == 0 || got.Disk == 0 || got.Inodes == 0 || got.CPU == 0 {
		t.Errorf("%+v", got)
	}
	if small := (Limits{Memory: 16 << 20}).Filled(); small.Tmp != 8<<20 {
		t.Errorf("%d bytes of /tmp", small.Tmp)
	}
}
