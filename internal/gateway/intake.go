package gateway

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Imports puts the rows of files on the tape, each once. Its methods may be called at once; those for one file wait for one
// another.
type Imports interface {
	// Stand tells how far a file has come.
	Stand(ctx context.Context, id string) (ImportStand, error)

	// Put puts a part of a file on the tape, and tells how far it has come then. A part that is there already is not put there
	// again. Nothing of it is kept. Errors wrap ErrImport when the part makes no sense, and ErrImportConflict when it is not the next.
	Put(ctx context.Context, id string, p ImportPart) (ImportStand, error)
}

// ImportPart is a part of a file: the entries that its rows From to Rows made.
type ImportPart struct {
	From, Rows uint64
	Last       bool // there are no further rows
	Entries    []market.Entry
}

// ImportStand is how far a file has come: so many rows are taken care of, all of it when Done. Its last record is at End at most.
type ImportStand struct {
	Rows uint64
	Done bool
	End  tape.Position
}

// Errors of imports.
var (
	ErrImport         = errors.New("not what can be imported")
	ErrImportConflict = errors.New("not the next part of the file")
)

// RecordType is the media type of a batch of entries: a record of the tape.
const RecordType = "application/vnd.tapedeck.record"

// importPatience is how long a part of a file may take: history may have to catch up before it.
const importPatience = time.Minute

// imports serves the routes of imports.
func (g *Gateway) imports(mux registrar) {
	if g.opt.Imports == nil {
		return
	}
	g.post(mux, "/v1/imports", g.beginImport)
	g.post(mux, "/v1/imports/{id}", g.putImport)
}

// post serves a route for POST to programs on this machine, and measures it.
func (g *Gateway) post(mux registrar, pattern string, h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		// Not every writer can, and those of tests need not.
		_ = http.NewResponseController(w).SetWriteDeadline(begin.Add(importPatience + g.opt.Limits.QueryTime))
		_ = http.NewResponseController(w).SetReadDeadline(begin.Add(g.opt.Limits.QueryTime))
		defer func() {
			g.metrics.requests.WithLabelValues(pattern, status(sw.status)).Observe(time.Since(begin).Seconds())
		}()
		defer g.rescue(sw, r)
		if r.Method != http.MethodPost {
			(&problem{
				status: http.StatusMethodNotAllowed, parameter: "method", value: r.Method, detail: "only POST is served here", allow: "POST",
			}).write(sw)
			return
		}
		err := g.mayImport(r)
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), importPatience)
			defer cancel()
			err = h(sw, r.WithContext(ctx))
		}
		if err != nil {
			g.fail(sw, r, err)
		}
	})
}

// mayImport lets in programs on this machine only, for there are no keys yet. Behind a proxy all the world seems to be on this
// machine: then the secret of the data folder is asked for.
func (g *Gateway) mayImport(r *http.Request) error {
	if !g.isStarted() {
		return &problem{status: http.StatusServiceUnavailable, detail: "the server is starting", retry: 1}
	}
	if g.isClosing() {
		return &problem{status: http.StatusServiceUnavailable, detail: "the server is shutting down", retry: 5}
	}
	address, loopback := g.guard.client(r)
	if !loopback {
		return &problem{
			status: http.StatusForbidden, parameter: "address", value: address,
			detail: "imports are taken from programs on the server's own machine only",
		}
	}
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if g.opt.ImportSecret != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(g.opt.ImportSecret)) == 1 {
		return nil
	}
	forwarded := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != ""
	if g.opt.PublicURL != "" || forwarded || r.Header.Get("Authorization") != "" {
		return &problem{
			status: http.StatusForbidden,
			detail: "there is a proxy before this server: name the data folder (--data), whose file server.json has the secret that is asked for",
		}
	}
	return nil
}

// beginImport serves POST /v1/imports: how far a file has come.
func (g *Gateway) beginImport(w http.ResponseWriter, r *http.Request) error {
	if err := wantType(r, "application/json"); err != nil {
		return err
	}
	var f struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Rows uint64 `json:"rows"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return bad("body", err.Error(), `want {"id":"…","name":"…","rows":0}`)
	}
	stand, err := g.opt.Imports.Stand(r.Context(), f.ID)
	if err != nil {
		return importProblem(err)
	}
	if f.Name != "" { // else somebody waits for history
		g.opt.Logger.Info("a file is imported", "file", f.Name, "id", f.ID, "rows", f.Rows, "done", stand.Rows, "whole", stand.Done)
	}
	return g.tellImport(w, stand)
}

// putImport serves POST /v1/imports/{id}: the next part of a file.
func (g *Gateway) putImport(w http.ResponseWriter, r *http.Request) error {
	if err := wantType(r, RecordType); err != nil {
		return err
	}
	p, err := parseParams(r, "from", "rows", "last")
	if err != nil {
		return err
	}
	var part ImportPart
	for name, to := range map[string]*uint64{"from": &part.From, "rows": &part.Rows} {
		if *to, err = strconv.ParseUint(p[name], 10, 63); err != nil {
			return bad(name, p[name], "it must be a number of rows")
		}
	}
	last, err := p.choice("last", "false", "true")
	if err != nil {
		return err
	}
	part.Last = last == "true"
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tape.MaxRecord))
	if err != nil {
		if large := new(http.MaxBytesError); errors.As(err, &large) {
			return &problem{status: http.StatusRequestEntityTooLarge, detail: "the body is larger than a record may be"}
		}
		return bad("body", "", "it could not be read")
	}
	var (
		d   tape.Decoder
		rec tape.Record
	)
	if err := d.Decode(body, &rec); err != nil {
		return bad("body", err.Error(), "it is not a record of the tape")
	}
	part.Entries = rec.Entries
	stand, err := g.opt.Imports.Put(r.Context(), r.PathValue("id"), part)
	if err != nil {
		return importProblem(err)
	}
	return g.tellImport(w, stand)
}

// tellImport writes how far a file has come, and whether history has all of that.
func (g *Gateway) tellImport(w http.ResponseWriter, s ImportStand) error {
	_, applied := g.opt.History.Applied()
	b := strconv.AppendUint([]byte(`{"rows":`), s.Rows, 10)
	b = strconv.AppendBool(append(b, `,"done":`...), s.Done)
	b = strconv.AppendBool(append(b, `,"recorded":`...), applied >= s.End)
	return plain(w, http.StatusOK, string(append(b, "}\n"...)))
}

func wantType(r *http.Request, want string) error {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || got != want {
		return &problem{
			status: http.StatusUnsupportedMediaType, parameter: "Content-Type", value: r.Header.Get("Content-Type"), detail: "want " + want,
		}
	}
	return nil
}

// importProblem words an error of Imports.
func importProblem(err error) error {
	switch {
	case errors.Is(err, ErrImport):
		return &problem{status: http.StatusBadRequest, detail: err.Error()}
	case errors.Is(err, ErrImportConflict):
		return &problem{status: http.StatusConflict, detail: err.Error()}
	case errors.Is(err, tape.ErrFull):
		return &problem{status: http.StatusInsufficientStorage, detail: "the disk of the tape is full"}
	case errors.Is(err, tape.ErrUnavailable), errors.Is(err, tape.ErrClosed):
		return &problem{status: http.StatusServiceUnavailable, detail: "the tape takes nothing now", retry: 5}
	}
	return err
}
