package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// folder is a Place on a local disk.
type folder struct {
	path string

	mu   sync.Mutex
	root *os.Root // nil until it is needed
}

// temporaries is the folder of temporary files. It is below the place, so that a rename never leaves the disk.
const temporaries = ".temporary"

func newFolder(path string) (*folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", path, err)
	}
	return &folder{path: abs}, nil
}

// String names the folder.
func (p *folder) String() string { return p.path }

// open returns the folder, out of which no name leads. With make it is made when it is missing.
func (p *folder) open(mkdir bool) (*os.Root, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.root != nil {
		return p.root, nil
	}
	if mkdir {
		if err := os.MkdirAll(p.path, 0o700); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(p.path)
	if err != nil {
		return nil, err
	}
	p.root = root
	return root, nil
}

// check refuses names that are none. That they lead nowhere else is ensured by os.Root as well.
func (p *folder) check(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("archive %s: %q: %w", p, name, fs.ErrInvalid)
	}
	return nil
}

// Create makes a temporary file.
func (p *folder) Create(name string) (*os.File, error) {
	if err := p.check(name); err != nil {
		return nil, err
	}
	root, err := p.open(true)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", p, err)
	}
	if err := root.MkdirAll(temporaries, 0o700); err != nil {
		return nil, fmt.Errorf("archive %s: %w", p, err)
	}
	f, err := root.OpenFile(path.Join(temporaries, path.Base(name)), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", p, err)
	}
	return f, nil
}

// Keep syncs the file, gives it its name, and syncs the folders that lead to it.
func (p *folder) Keep(ctx context.Context, f *os.File, name string) error {
	root, err := p.open(true)
	if err := errors.Join(err, p.check(name)); err != nil {
		return errors.Join(fmt.Errorf("archive %s: %w", p, err), Discard(f))
	}
	if err := errors.Join(ctx.Err(), f.Sync()); err != nil {
		return errors.Join(fmt.Errorf("archive %s: %w", name, err), Discard(f))
	}
	// Windows does not rename open files.
	if err := errors.Join(f.Close(), root.MkdirAll(path.Dir(name), 0o700)); err != nil {
		return errors.Join(fmt.Errorf("archive %s: %w", name, err), os.Remove(f.Name()))
	}
	if err := root.Rename(path.Join(temporaries, filepath.Base(f.Name())), filepath.FromSlash(name)); err != nil {
		return errors.Join(fmt.Errorf("archive %s: %w", name, err), os.Remove(f.Name()))
	}
	if err := syncUp(root, path.Dir(name)); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return nil
}

// syncUp syncs a folder and those above it, up to the root: any of them may be new.
func syncUp(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call, and needs none
	}
	for ; ; name = path.Dir(name) {
		d, err := root.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
	}
}

// localFile is an open file of a folder.
type localFile struct {
	*os.File
	size int64
}

// Size returns the length of the file in bytes.
func (f localFile) Size() int64 { return f.size }

// Open opens a file.
func (p *folder) Open(_ context.Context, name string) (File, error) {
	if err := p.check(name); err != nil {
		return nil, err
	}
	root, err := p.open(false)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", p, err)
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", p, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("archive %s: %w", p, err), f.Close())
	}
	return localFile{f, info.Size()}, nil
}

// Remove removes a file, and the folders that it leaves empty.
func (p *folder) Remove(_ context.Context, name string) error {
	if err := p.check(name); err != nil {
		return err
	}
	root, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("archive %s: %w", p, err)
	}
	if err := root.Remove(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("archive %s: %w", p, err)
	}
	dir := path.Dir(name)
	for dir != "." && root.Remove(filepath.FromSlash(dir)) == nil { // fails for one that is not empty
		dir = path.Dir(dir)
	}
	if err := syncUp(root, existing(root, dir)); err != nil {
		return fmt.Errorf("archive %s: %w", p, err)
	}
	return nil
}

// existing returns the folder, or the first one above it that is there.
func existing(root *os.Root, dir string) string {
	for dir != "." {
		if _, err := root.Stat(filepath.FromSlash(dir)); err == nil {
			break
		}
		dir = path.Dir(dir)
	}
	return dir
}

// Sweep removes temporary files.
func (p *folder) Sweep() error {
	root, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("archive %s: %w", p, err)
	}
	entries, err := fs.ReadDir(root.FS(), temporaries)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("archive %s: %w", p, err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue // not ours
		}
		if err := root.Remove(path.Join(temporaries, e.Name())); err != nil {
			return fmt.Errorf("archive %s: %w", p, err)
		}
	}
	return nil
}

// Close closes the folder.
func (p *folder) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.root == nil {
		return nil
	}
	err := p.root.Close()
	p.root = nil
	return err
}

// suffix is what the names of archived files end in.
const suffix = ".parquet"
