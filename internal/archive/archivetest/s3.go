// Package archivetest has an S3 server for tests.
package archivetest

import (
	"bufio"
	"bytes"
	"crypto/md5" //nolint:gosec // what S3 names its objects' versions by
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// S3 is an S3 server in memory: it keeps what a client sent, checked by its checksum, and a bucket is made by being named. Its fields may be
// set while no request is under way.
type S3 struct {
	Deny  func(r *http.Request) bool // requests that the key may not make: 403; nil: none
	Fail  func(r *http.Request) bool // requests that are answered with 503; nil: none
	Spoil func(b []byte) []byte      // what is kept of what was sent; nil: all
	URL   string                     // of the bucket, with what one needs to use it

	mu      sync.Mutex
	objects map[string][]byte
	gets    int
}

// New starts a server that ends with the test.
func New(t testing.TB) *S3 {
	s := &S3{objects: make(map[string][]byte)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = "s3://bucket/some/prefix?region=eu-1&key=the-key&secret=the-secret&endpoint=" + url.QueryEscape(server.URL)
	return s
}

// Gets returns how many requests have read an object.
func (s *S3) Gets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets
}

// Names returns the names of all objects, with their bucket.
func (s *S3) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// ServeHTTP answers a request.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Deny != nil && s.Deny(r) {
		s.refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	if s.Fail != nil && s.Fail(r) {
		s.refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=the-key/") {
		s.refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	b, ok := s.objects[name]
	switch r.Method {
	case http.MethodPut:
		s.put(w, r, name)
	case http.MethodDelete:
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodHead, http.MethodGet:
		if !ok {
			s.refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		tag := etag(b)
		if match := strings.Trim(r.Header.Get("If-Match"), `"`); match != "" && match != tag {
			s.refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		if r.Method == http.MethodGet {
			s.gets++
		}
		w.Header().Set("ETag", `"`+tag+`"`)
		w.Header().Set("Last-Modified", "Mon, 23 Nov 2026 14:30:00 GMT")
		http.ServeContent(w, r, "", time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC), bytes.NewReader(b))
	default:
		s.refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func etag(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

func (*S3) refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

func (s *S3) put(w http.ResponseWriter, r *http.Request, name string) {
	var body io.Reader = r.Body
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body = &chunked{from: bufio.NewReader(r.Body)}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		s.refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	sum := md5.Sum(b) //nolint:gosec // see above
	if want := r.Header.Get("Content-Md5"); want != base64.StdEncoding.EncodeToString(sum[:]) {
		s.refuse(w, http.StatusBadRequest, "BadDigest")
		return
	}
	w.Header().Set("ETag", `"`+etag(b)+`"`)
	if s.Spoil != nil {
		b = s.Spoil(b)
	}
	s.objects[name] = b
}

// chunked reads a body in which each chunk is signed: "size;chunk-signature=…", the chunk, and so on.
type chunked struct {
	from *bufio.Reader
	left int64
	end  bool
}

// Read reads what is in the chunks.
func (c *chunked) Read(p []byte) (int, error) {
	if c.end {
		return 0, io.EOF
	}
	if c.left == 0 {
		line, err := c.from.ReadString('\n')
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		if size == "" { // behind a chunk
			return 0, nil
		}
		if c.left, err = strconv.ParseInt(size, 16, 64); err != nil {
			return 0, err
		}
		if c.left == 0 {
			c.end = true
			return 0, io.EOF
		}
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
