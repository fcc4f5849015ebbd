package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// documents are the descriptions of the API, made of the table of operations and of the routes that were registered.
type documents struct {
	openAPI, asyncAPI, page []byte
}

// describe registers the documents. It comes after all other routes, which they are about; they are made when the first of them is asked for.
func (g *Gateway) describe(mux *routes) {
	made := sync.OnceValues(func() (*documents, error) { return g.documents(mux.patterns) })
	serve := func(path, media string, pick func(*documents) []byte) {
		g.get(mux, path, func(w http.ResponseWriter, r *http.Request) error {
			if _, err := parseParams(r); err != nil {
				return err
			}
			d, err := made()
			if err != nil {
				return err
			}
			body, h := pick(d), w.Header()
			h.Set("Content-Type", media)
			h.Set("Content-Length", strconv.Itoa(len(body)))
			if r.Method == http.MethodGet {
				_, _ = w.Write(body) // the client may have gone
			}
			return nil
		})
	}
	serve("/openapi.json", "application/json", func(d *documents) []byte { return d.openAPI })
	serve("/asyncapi.json", "application/json", func(d *documents) []byte { return d.asyncAPI })
	serve("/docs", "text/html; charset=utf-8", func(d *documents) []byte { return d.page })
}

// documents describes the operations whose paths are among the patterns.
func (g *Gateway) documents(patterns []string) (*documents, error) {
	ops := slices.DeleteFunc(g.operations(), func(o operation) bool { return !slices.Contains(patterns, o.path) })
	var (
		d   documents
		err error
	)
	if d.openAPI, err = json.Marshal(g.openAPI(ops)); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	if d.asyncAPI, err = json.Marshal(g.asyncAPI()); err != nil {
		return nil, fmt.Errorf("describe the streams: %w", err)
	}
	if d.page, err = g.docsPage(ops); err != nil {
		return nil, fmt.Errorf("describe the API in a page: %w", err)
	}
	return &d, nil
}

// about is what both documents say of the program; licence is how they say what it may be used for.
func (g *Gateway) about(title, description string, licence object) object {
	version := g.opt.Version
	if version == "" {
		version = "devel"
	}
	return object{"title": title, "version": version, "description": description, "license": licence}
}

// openAPI is the document of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) of some operations.
func (g *Gateway) openAPI(ops []operation) object {
	paths := object{}
	for i := range ops {
		o := &ops[i]
		item, ok := paths[o.path].(object)
		if !ok {
			item = object{}
			paths[o.path] = item
		}
		item[strings.ToLower(o.verb())] = o.document()
	}
	tags := make([]object, 0, len(groups()))
	for _, name := range groups() {
		tags = append(tags, object{"name": name, "description": groupDetail(name)})
	}
	return object{
		"openapi": "3.1.0",
		"info": g.about("Tapedeck", "Market data: what is newest, all that was, and streams. Prices and sizes are JSON numbers with exactly the venue's digits. "+
			"Times are RFC 3339 in UTC. Parameters that are not known are refused. Members may be added to any answer.", object{"name": "Apache 2.0", "identifier": "Apache-2.0"}),
		"servers":    []object{{"url": ".", "description": "This server, also under a path of a proxy."}},
		"tags":       tags,
		"paths":      paths,
		"components": object{"schemas": schemas(), "responses": object{"Problem": problemAnswer()}},
		"security":   []object{{}},
	}
}

func problemAnswer() object {
	return object{
		"description": "What is wrong (RFC 9457).",
		"content": object{"application/problem+json": object{
			"schema": ref("Problem"),
			"example": object{
				"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "it must be a whole number from 1 to 10000",
				"message": "it must be a whole number from 1 to 10000", "parameter": "limit", "value": "many",
			},
		}},
	}
}

func (o *operation) verb() string {
	if o.method == "" {
		return http.MethodGet
	}
	return o.method
}

// document is the operation as OpenAPI has it.
func (o *operation) document() object {
	d := object{"operationId": o.id, "summary": o.summary, "tags": []string{o.group}}
	if o.detail != "" {
		d["description"] = o.detail
	}
	params := []object{}
	for i := range o.params {
		params = append(params, o.params[i].document())
	}
	if len(params) > 0 {
		d["parameters"] = params
	}
	if o.body != nil {
		d["requestBody"] = object{"required": true, "content": object{o.body.media: object{"schema": o.body.schema}}}
	}
	answers := object{}
	if o.upgrades {
		answers["101"] = object{"description": "The WebSocket is open."}
	}
	for i := range o.answers {
		c := &o.answers[i]
		status := "200"
		if c.status != 0 {
			status = strconv.Itoa(c.status)
		}
		answer, ok := answers[status].(object)
		if !ok {
			answer = object{"description": "The answer.", "content": object{}}
			answers[status] = answer
		}
		if contents, ok := answer["content"].(object); ok {
			contents[c.media] = object{"schema": c.schema}
		}
	}
	for _, status := range o.errors {
		if _, said := answers[strconv.Itoa(status)]; !said {
			answers[strconv.Itoa(status)] = object{"$ref": "#/components/responses/Problem"}
		}
	}
	if _, said := answers["4XX"]; !said {
		answers["4XX"] = object{"$ref": "#/components/responses/Problem"}
	}
	d["responses"] = answers
	return d
}

func (p *param) place() string {
	if p.in == "" {
		return "query"
	}
	return p.in
}

func (p *param) document() object {
	d := object{"name": p.name, "in": p.place(), "schema": p.schema, "description": p.detail}
	if p.required {
		d["required"] = true
	}
	if p.example != nil {
		d["example"] = p.example
	}
	return d
}
