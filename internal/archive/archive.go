// Package archive is where archived files are kept: a folder, or a bucket of an S3 store. It knows names and bytes, and nothing of
// what the files are about.
//
// A file comes into being whole or not at all: it is written under a temporary name, made durable, and only then given
// its own. It is never changed after that. Names are paths with slashes, relative to the place; one that leads out of it is refused.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrURL is wrapped by the errors of URLs that name no place.
var ErrURL = errors.New("not a place for an archive")

// Place is where archived files are. Its methods may be called at once.
type Place interface {
	// Create makes a temporary file on the local disk. It ends in Keep or Discard.
	Create(name string) (*os.File, error)

	// Keep gives what was written to f its name and makes both durable; f is closed and gone, whether or not that went well.
	Keep(ctx context.Context, f *os.File, name string) error

	// Open opens a file to be read. An error wraps fs.ErrNotExist when there is none of that name.
	Open(ctx context.Context, name string) (File, error)

	// Remove removes a file. One that is not there is no error.
	Remove(ctx context.Context, name string) error

	// Sweep removes temporary files that a process left behind that was ended. It must not run while files are made.
	Sweep() error

	// Close gives up what is held of the place. Files that are open stay so.
	Close() error

	// String names the place, without secrets.
	String() string
}

// File is an archived file. It may be read by many at once.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes
}

// Discard ends a temporary file that is not wanted.
func Discard(f *os.File) error {
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Open returns the place that a URL names: file:///path, or s3://bucket/prefix with the parameters endpoint (the URL of the
// server; that of Amazon by default), region, key, secret and token (env:NAME and file:PATH stand for what is there). A path without
// a scheme is a folder. Files that are about to be sent to a bucket are made in the folder scratch. Nothing is touched yet.
func Open(where, scratch string) (Place, error) {
	scheme, _, ok := strings.Cut(where, "://")
	if !ok {
		if where == "" {
			return nil, fmt.Errorf("the place is empty: %w", ErrURL)
		}
		return newFolder(where)
	}
	u, err := url.Parse(where)
	if err != nil {
		// What url.Parse says repeats the URL, and with it the secrets.
		return nil, fmt.Errorf("%s://…: %w", scheme, ErrURL)
	}
	switch scheme {
	case "file":
		if u.Host != "" || u.Path == "" || u.RawQuery != "" {
			return nil, fmt.Errorf("%s: a folder is written as file:///path: %w", Mask(where), ErrURL)
		}
		return newFolder(localPath(u.Path))
	case "s3":
		return newBucket(u, scratch)
	}
	return nil, fmt.Errorf("%s: the scheme is neither file nor s3: %w", Mask(where), ErrURL)
}

// localPath returns the path of a file URL as this system writes it: /C:/x is C:\x on Windows.
func localPath(path string) string {
	if runtime.GOOS == "windows" && len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:]
	}
	return filepath.FromSlash(path)
}

const mask = "***"

// Mask returns the URL of a place without its secrets. Where they come from (env:NAME, file:PATH) is shown.
func Mask(where string) string {
	u, err := url.Parse(where)
	if err != nil || u.Scheme == "" {
		if scheme, _, ok := strings.Cut(where, "://"); ok {
			return scheme + "://" + mask
		}
		return where
	}
	base, query, has := strings.Cut(where, "?")
	if u.User != nil {
		base = u.Scheme + "://" + mask + "@" + u.Host + u.EscapedPath()
	}
	if !has {
		return base
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		if known, err := url.QueryUnescape(name); err == nil && shown(known) || value == "" ||
			strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") {
			continue
		}
		parts[i] = name + "=" + mask
	}
	return base + "?" + strings.Join(parts, "&")
}

// shown reports whether the value of a parameter is no secret.
func shown(name string) bool {
	switch name {
	case "endpoint", "region":
		return true
	}
	return false
}

// secret returns what a parameter stands for: env:NAME is an environment variable, file:PATH the content of a file without the
// white space around it, anything else itself.
func secret(name, value string) (string, error) {
	if env, ok := strings.CutPrefix(value, "env:"); ok {
		v := os.Getenv(env)
		if v == "" {
			return "", fmt.Errorf("%s=%s: the environment variable is not set: %w", name, value, ErrURL)
		}
		return v, nil
	}
	path, ok := strings.CutPrefix(value, "file:")
	if !ok {
		return value, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", name, ErrURL, err)
	}
	v := strings.TrimSpace(string(b))
	if v == "" {
		return "", fmt.Errorf("%s=%s: the file is empty: %w", name, value, ErrURL)
	}
	return v, nil
}
