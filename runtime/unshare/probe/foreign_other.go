//go:build !amd64

package probe

// foreign has nothing to try: 32-bit programs of this processor need a 32-bit executable, which the filter ends.
func foreign(World) (string, error) { return "", nil }
