package unshare

import (
	"encoding/binary"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// superblock is what we read of an ext4 image that is not mounted: 1,024 bytes at a fixed place.
type superblock struct {
	blocks, free, overhead uint64
	inodes, freeInodes     uint32
	blockSize              int64
	state                  uint16
}

func readSuperblock(r io.ReaderAt) (superblock, error) {
	var b [1024]byte
	if _, err := r.ReadAt(b[:], 1024); err != nil {
		return superblock{}, fmt.Errorf("read superblock: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint16(b[0x38:]) != 0xEF53 || le.Uint32(b[0x18:]) > 6 {
		return superblock{}, fmt.Errorf("not an ext4 image")
	}
	wide := func(low, high int) uint64 { return uint64(le.Uint32(b[high:]))<<32 | uint64(le.Uint32(b[low:])) }
	return superblock{
		blocks: wide(0x04, 0x150), free: wide(0x0C, 0x158), overhead: uint64(le.Uint32(b[0x248:])),
		inodes: le.Uint32(b[0x00:]), freeInodes: le.Uint32(b[0x10:]),
		blockSize: 1024 << le.Uint32(b[0x18:]), state: le.Uint16(b[0x3A:]),
	}, nil
}

// room is what statfs would say: bytes and inodes, used and in all.
func (s superblock) room() (used, size, inodes, maxInodes int64) {
	size = max(int64(s.blocks-s.overhead)*s.blockSize, 0)
	used = max(size-int64(s.free)*s.blockSize, 0)
	return used, size, max(int64(s.inodes)-int64(s.freeInodes), 0), int64(s.inodes)
}

func (s superblock) bytes() int64 { return int64(s.blocks) * s.blockSize }

// broken tells that a kernel met an error in it.
func (s superblock) broken() bool { return s.state&2 != 0 }

const ext4ResizeFS = 0x40086610 // EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64)

func ioctlResize(fd int, blocks uint64) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ext4ResizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return errno
	}
	return nil
}
