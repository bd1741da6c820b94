package site

import (
	"context"
	"crypto/sha256"
	"sync"
)

// lanes let those who try one password for one login come one after the other. An SFTP client opens ten connections at
// once: the first asks the directory, the others find its answer remembered, and none of them is taken for a guess.
// Different passwords do not wait for each other; each is counted before it is answered.
type lanes struct {
	mu   sync.Mutex
	busy map[[sha256.Size]byte]chan struct{} // closed when the one under way has its answer
}

// enter waits for its turn; leave must follow. A ctx that ends gives up the waiting.
func (l *lanes) enter(ctx context.Context, digest [sha256.Size]byte) (leave func(), err error) {
	for {
		l.mu.Lock()
		ahead, taken := l.busy[digest]
		if !taken {
			mine := make(chan struct{})
			l.busy[digest] = mine
			l.mu.Unlock()
			return func() { l.leave(digest, mine) }, nil
		}
		l.mu.Unlock()
		select {
		case <-ahead:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *lanes) leave(digest [sha256.Size]byte, mine chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, digest)
	close(mine)
}
