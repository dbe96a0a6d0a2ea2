package gitmirror

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
	"github.com/tagboat/tagboat/internal/fault"
)

const maxAlternates = 16 // repositories that a repository borrows objects from

// Local is a git repository on this machine, read and never written: the one of a
// checkout or worktree, or a bare one. It is safe for concurrent use. It sees the
// repository as it is when a revision is asked for, except that packs which git
// makes meanwhile (git fetch, git gc) need a new Local.
type Local struct {
	dir   string // as it was named
	below string // dir in its checkout, slash-separated; "." for all of it
	known *directories

	mu      sync.Mutex            // guards all below; go-git's storage is not safe for concurrent use
	stores  []*filesystem.Storage // the repository, then those it borrows objects from
	shallow map[plumbing.Hash]bool
}

// OpenLocal opens the repository that a directory belongs to: a checkout or a
// directory in it, of which trees then show only what is below, a worktree, or a
// bare repository. NotFound where there is none, Invalid where it is of a format
// that cannot be read.
func OpenLocal(dir string) (_ *Local, err error) {
	defer fault.Wrap(&err, "open the git repository of %s", dir)
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, fault.E(fault.NotFound, "", err)
	}
	gitDir, below, err := discover(path)
	if err != nil {
		return nil, err
	}
	l := &Local{dir: dir, below: below, known: newDirectories(maxNames)}
	return l, l.open(gitDir)
}

// discover finds the repository of a directory as git does: .git in it or in the
// nearest directory above it, or the directory itself where that is a bare
// repository. below is where the directory is in its checkout.
func discover(path string) (gitDir, below string, err error) {
	if isRepository(path) {
		return path, ".", nil
	}
	for root := path; ; root = filepath.Dir(root) {
		dot := filepath.Join(root, ".git")
		info, err := os.Stat(dot)
		switch {
		case err == nil:
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return "", "", err
			}
			if !info.IsDir() {
				dot, err = linked(dot)
			}
			return dot, filepath.ToSlash(rel), err
		case !errors.Is(err, fs.ErrNotExist):
			return "", "", err
		case filepath.Dir(root) == root:
			return "", "", fault.Errorf(fault.NotFound, "%s is not in a git repository; name a directory of a checkout, or run git init", path)
		}
	}
}

// isRepository knows a git directory by what git knows it by.
func isRepository(dir string) bool {
	head, err := os.Stat(filepath.Join(dir, "HEAD"))
	if err != nil || head.IsDir() {
		return false
	}
	for _, name := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// linked is the git directory that a .git file of a worktree or a submodule names
// (https://git-scm.com/docs/gitrepository-layout).
func linked(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
	if !ok {
		return "", fault.Errorf(fault.Invalid, "%s does not say where its repository is; it should read \"gitdir: PATH\"", file)
	}
	return from(filepath.Dir(file), target), nil
}

// from is a path as something in dir names it.
func from(dir, path string) string {
	if path = filepath.FromSlash(path); filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// open reads what a git directory is made of.
func (l *Local) open(gitDir string) (err error) {
	defer recoverPanic(&err)
	common := gitDir
	if text, err := os.ReadFile(filepath.Join(gitDir, "commondir")); err == nil { // a worktree's
		common = from(gitDir, strings.TrimSpace(string(text)))
	}
	files := osfs.New(gitDir)
	if common != gitDir {
		files = dotgit.NewRepositoryFilesystem(files, osfs.New(common))
	}
	if err := readable(filepath.Join(common, "config")); err != nil {
		return err
	}
	repository := readStore(files)
	shallow, err := repository.Shallow()
	if err != nil {
		return fault.E(fault.Invalid, "The list of shallow commits in "+common+" cannot be read.", err)
	}
	l.shallow = map[plumbing.Hash]bool{}
	for _, id := range shallow {
		l.shallow[id] = true
	}
	l.stores = []*filesystem.Storage{repository}
	return l.borrow(filepath.Join(common, "objects"))
}

// borrow adds the repositories whose objects one uses instead of its own (git
// clone --shared, --reference). go-git would open them anew for every object, and
// not for an object's size.
func (l *Local) borrow(objects string) error {
	f, err := os.Open(filepath.Join(objects, "info", "alternates"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		lender := from(objects, line)
		if len(l.stores) > maxAlternates {
			return fault.Errorf(fault.Invalid, "%s borrows from more than %d repositories; git repack -a -d ends that", objects, maxAlternates)
		}
		if _, err := os.Stat(lender); err != nil || filepath.Base(lender) != "objects" {
			return fault.Errorf(fault.Invalid, "%s/info/alternates names %s, which is not the objects directory of a repository", objects, lender)
		}
		l.stores = append(l.stores, readStore(osfs.New(filepath.Dir(lender))))
		if err := l.borrow(lender); err != nil {
			return err
		}
	}
	return nil
}

func readStore(files billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(files, cache.NewObjectLRU(cacheBytes),
		filesystem.Options{MaxOpenDescriptors: 16})
}

// readable refuses formats of repositories that would be misread. go-git's own
// check refuses some that make no difference to a reader, and its reader of whole
// configurations more.
func readable(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // all defaults
	}
	if err != nil {
		return err
	}
	defer f.Close()
	raw := config.New()
	if err := config.NewDecoder(f).Decode(raw); err != nil {
		return fault.E(fault.Invalid, file+" cannot be read; git config --list says what is wrong in it.", err)
	}
	if v := raw.Section("core").Option("repositoryformatversion"); v != "" && v != "0" && v != "1" {
		return fault.Errorf(fault.Invalid, "%s is of format version %s, which Tagboat does not read", filepath.Dir(file), v)
	}
	for _, option := range raw.Section("extensions").Options {
		key, value := strings.ToLower(option.Key), strings.ToLower(option.Value)
		switch key {
		case "noop", "noop-v1", "partialclone", "preciousobjects", "worktreeconfig", "relativeworktrees":
			continue
		case "objectformat":
			if value == "sha1" {
				continue
			}
		case "refstorage":
			if value == "files" {
				continue
			}
		}
		return fault.Errorf(fault.Invalid, "%s uses git's extension %s = %s, which Tagboat does not read; a clone made with git's defaults will do", filepath.Dir(file), key, value)
	}
	return nil
}

// At is the tree of a revision as people write it: HEAD, HEAD~1, a branch, a tag,
// origin/main, a commit id of at least four digits. NotFound, with what may help,
// where the repository does not have it.
func (l *Local) At(rev string) (_ *Tree, err error) {
	defer fault.Wrap(&err, "revision %s of %s", rev, l.dir)
	r, err := parseRevision(rev)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	id, c, err := l.resolve(r)
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	t := newTree(l, l.known, id, c.TreeHash, c.Committer.When)
	if l.below == "." {
		return t, nil
	}
	base, err := t.descend(t.base, strings.Split(l.below, "/"), true)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !base[len(base)-1].isDir() {
		return nil, fault.Errorf(fault.NotFound, "commit %s of %s has no directory %s", id, l.dir, l.below)
	}
	t.base = base
	return t, err
}

// Changed lists the files below the directory that differ between two revisions,
// by path; see Mirror.Changed.
func (l *Local) Changed(ctx context.Context, from, to string) ([]Change, error) {
	a, err := l.At(from)
	if err != nil {
		return nil, err
	}
	b, err := l.At(to)
	if err != nil {
		return nil, err
	}
	return changed(ctx, a, b)
}

// object implements source.
func (l *Local) object(kind plumbing.ObjectType, id plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read(kind, id, limit)
}

// read is object for whoever holds l.mu.
func (l *Local) read(kind plumbing.ObjectType, id plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	for _, store := range l.stores {
		o, err := readObject(store, kind, id, limit)
		if err == nil || errors.Is(err, errBlobTooLarge) {
			return o, err
		}
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, l.damaged(id, err)
		}
	}
	return nil, l.missing(id)
}

// size implements source.
func (l *Local) size(id plumbing.Hash) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, store := range l.stores {
		n, err := objectSize(store, id)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return 0, l.damaged(id, err)
		}
	}
	return 0, l.missing(id)
}

func (l *Local) missing(id plumbing.Hash) error {
	return fault.E(fault.NotFound, fmt.Sprintf("%s lacks git object %s. A clone made with --filter lacks contents until they are needed: git fetch --refetch --no-filter brings them all.", l.dir, id), plumbing.ErrObjectNotFound)
}

func (l *Local) damaged(id plumbing.Hash, err error) error {
	return fault.E(fault.Invalid, fmt.Sprintf("Git object %s in %s cannot be read; git fsck tells what is wrong with the repository.", id, l.dir), err)
}
