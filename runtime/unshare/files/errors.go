package files

import (
	"errors"

	"golang.org/x/sys/unix"
)

// What a client is told. SFTP version 3 has one code for all of them, so the text has to say it, in both languages:
// nobody knows here which one the person reads.
var (
	errNotPlain = errors.New("not a plain file / pas un fichier ordinaire")
	errFull     = errors.New("the site's disk is full / le disque du site est plein")
	errExists   = errors.New("the target exists / la cible existe déjà")
	errBuiltIn  = errors.New("this folder came with the site: copy it instead / ce dossier est fourni avec le site : copiez-le")
	errOwner    = unix.EPERM // files always belong to the site
)

// explain puts words to what people meet. Other errors keep their number, which pkg/sftp translates into a code.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return errFull
	case errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENOTEMPTY):
		return errExists
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
