package gitmirror

import (
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/tagboat/tagboat/internal/fault"
)

// errBlobTooLarge: an object is larger than its reader takes.
var errBlobTooLarge = fault.Errorf(fault.Invalid, "it is larger than %d MiB, which Tagboat does not read", maxBlob>>20)

// readObject gives an object whose bytes hash to its id. The error is
// plumbing.ErrObjectNotFound where the store lacks it and errBlobTooLarge above
// limit bytes; anything else means that the store is damaged. go-git's storage is
// not safe for concurrent use: whoever calls has it for himself.
func readObject(store *filesystem.Storage, kind plumbing.ObjectType, id plumbing.Hash, limit int64) (_ *plumbing.MemoryObject, err error) {
	defer recoverPanic(&err)
	size, err := store.EncodedObjectSize(id)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, errBlobTooLarge
	}
	stored, err := store.EncodedObject(kind, id)
	if err != nil {
		return nil, err
	}
	r, err := stored.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	o := &plumbing.MemoryObject{}
	o.SetType(stored.Type())
	o.SetSize(int64(len(content)))
	if _, err := o.Write(content); err != nil {
		return nil, err
	}
	if o.Hash() != id {
		return nil, fmt.Errorf("the bytes of object %s are not its own", id)
	}
	return o, nil
}

// objectSize is how many bytes an object has, read as by readObject.
func objectSize(store *filesystem.Storage, id plumbing.Hash) (_ int64, err error) {
	defer recoverPanic(&err)
	return store.EncodedObjectSize(id)
}

// recoverPanic turns a panic into an error: go-git may panic on files that are not
// what git wrote.
func recoverPanic(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("reading it panicked: %v", r)
	}
}
