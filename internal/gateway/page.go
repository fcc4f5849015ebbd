package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// page serves the built user interface from memory.
type page struct {
	files map[string]*file // by path without the leading slash
}

// file is one file of the page. What gains by it is compressed when it is first asked for.
type file struct {
	name string
	kind string
	tag  string
	data []byte
	once sync.Once
	gzip []byte // nil when it gains nothing
}

func newPage(ui fs.FS) (*page, error) {
	p := &page{files: make(map[string]*file)}
	if ui == nil {
		return p, nil
	}
	err := fs.WalkDir(ui, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(ui, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		sum := sha256.Sum256(data)
		p.files[name] = &file{name: name, kind: contentType(name), data: data, tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	return p, err
}

// contentType does not ask the machine's own table, which may be anything.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".woff2":
		return "font/woff2"
	case ".ico":
		return "image/x-icon"
	case ".wasm":
		return "application/wasm"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// compressed returns the file as gzip, or nil when that is hardly smaller.
func (f *file) compressed() []byte {
	f.once.Do(func() {
		if len(f.data) < 1024 || strings.HasPrefix(f.kind, "font/") || strings.HasPrefix(f.kind, "image/") && f.kind != "image/svg+xml" {
			return
		}
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(f.data); err != nil || w.Close() != nil {
			return // unreachable: a buffer takes everything
		}
		if b.Len() < len(f.data)*9/10 {
			f.gzip = b.Bytes()
		}
	})
	return f.gzip
}

// serve answers with the file at the path of the request. Names under assets/ have a hash of their content in them and may be kept for
// ever; everything else must be asked for again, which costs no more than a 304.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	f := p.files[name]
	if f == nil {
		detail := "there is nothing at this address"
		if name == "index.html" {
			detail = "this program was built without its page; the API is there"
		}
		(&problem{status: http.StatusNotFound, parameter: "path", value: r.URL.Path, detail: detail}).write(w)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Etag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", f.kind)
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == f.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	data := f.data
	if acceptsGzip(r) {
		if z := f.compressed(); z != nil {
			data = z
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(data) // the client may have gone
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
