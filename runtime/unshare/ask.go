package unshare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	askTime = 10 * time.Second // a box that is slower than that does not want to tell
	askMost = 4 << 10          // bytes of an answer
)

// askBox runs a word of petitpont-box in the box, as its root and as a descriptor (RULE NS), and returns what it
// prints. Nothing of the answer is trusted: a tenant's root may hold up or change any process of the box.
func (d *Driver) askBox(ctx context.Context, b *box, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	out, in, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer func() { _ = out.Close() }()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return "", errors.Join(err, in.Close())
	}
	defer func() { _ = null.Close() }()
	child, err := b.exec(program{
		flags: execProgram, dir: "/", argv: []string{"petitpont-box", word},
		env: []string{"GOMAXPROCS=1"}, files: []*os.File{null, in, in, d.box},
	})
	_ = in.Close()
	if err != nil {
		return "", err
	}
	p := follow(&process{init: child.control})
	defer func() { _ = p.Close() }()
	defer context.AfterFunc(ctx, func() { _ = errors.Join(out.Close(), p.Close()) })()
	text, err := io.ReadAll(io.LimitReader(out, askMost))
	if err != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	if code, err := p.Wait(); err != nil || code != 0 {
		return "", fmt.Errorf("%s ended with %d: %w: %q", word, code, errors.Join(ctx.Err(), err), text)
	}
	return string(text), nil
}
