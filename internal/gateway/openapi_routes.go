package gateway

import "net/http"

// registrar takes routes: a mux, or what keeps a list beside one.
type registrar interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// routes is a mux that knows its patterns, so that they can be held against those that are described.
type routes struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc implements registrar.
func (r *routes) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, handler)
}
