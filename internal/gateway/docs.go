package gateway

import (
	"bytes"
	"encoding/json"
	"html/template"
	"slices"
	"strconv"
	"strings"
)

// docsTemplate is the page that describes the API. It needs nothing from anywhere: no script, no font, no picture. Its links are relative, so that it works
// below any path of a proxy.
const docsTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapedeck API</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#d5dae1, #333b46); --soft: light-dark(#57606a, #9aa4b2); --code: light-dark(#f2f4f7, #1b2129); --link: light-dark(#0b5cad, #7db7ff) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; background: light-dark(#fff, #11151a); color: light-dark(#1b1f24, #e4e8ee) }
h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line) }
a { color: var(--link) } p { margin: .4rem 0 } nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0 }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: .4rem .6rem }
summary { cursor: pointer; overflow-wrap: anywhere } summary small { color: var(--soft) }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere }
pre { background: var(--code); padding: .6rem; border-radius: .4rem; overflow-x: auto }
.verb { font-weight: 600; font-size: .8em; margin-right: .4rem }
.table { overflow-x: auto } table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid var(--line) }
th { white-space: nowrap; font-weight: 600 } .soft { color: var(--soft) }
</style>
</head>
<body>
<header>
<h1>Tapedeck API <span class="soft">{{.Version}}</span></h1>
<p>Prices and sizes are JSON numbers with exactly the venue's digits. Times are RFC 3339 in UTC. Parameters that are not known are refused; members may be added to any answer.
Errors are <code>application/problem+json</code>.</p>
<p>For programs: <a href="openapi.json">openapi.json</a>, <a href="asyncapi.json">asyncapi.json</a>. <a href="./">To the chart</a>.</p>
<nav aria-label="Parts"><ul>{{range .Groups}}<li><a href="#{{.Anchor}}">{{.Name}}</a></li>{{end}}<li><a href="#messages">Messages of the stream</a></li><li><a href="#schemas">Shapes</a></li></ul></nav>
</header>
<main>
{{range .Groups}}<section id="{{.Anchor}}"><h2>{{.Name}}</h2>
<p>{{.Detail}}</p>
{{range .Operations}}<details id="{{.ID}}"><summary><span class="verb">{{.Verb}}</span><code>{{.Path}}</code> <small>{{.Summary}}</small></summary>
{{if .Detail}}<p>{{.Detail}}</p>{{end}}
{{if .Params}}<div class="table"><table><thead><tr><th scope="col">Parameter</th><th scope="col">Values</th><th scope="col">Meaning</th></tr></thead><tbody>
{{range .Params}}<tr><th scope="row"><code>{{.Name}}</code>{{if .Required}} <span class="soft">required</span>{{end}}{{if eq .Place "path"}} <span class="soft">in the path</span>{{end}}</th><td>{{.Values}}</td><td>{{.Detail}}</td></tr>
{{end}}</tbody></table></div>{{end}}
{{if .Body}}<p>Body: {{.Body.Media}}{{if .Body.Schema}}, <a href="#schema-{{.Body.Schema}}">{{.Body.Schema}}</a>{{end}}</p>{{end}}
{{range .Answers}}<p>{{.Status}}: <code>{{.Media}}</code>{{if .Schema}}, <a href="#schema-{{.Schema}}">{{.Schema}}</a>{{end}}</p>
{{end}}{{if .Example}}<pre>{{.Example}}</pre>{{end}}</details>
{{end}}</section>
{{end}}<section id="messages"><h2>Messages of the stream</h2>
<p>The server sends lists of objects with the first member <code>T</code>; a client sends one object at a time.</p>
{{range .Messages}}<details><summary><span class="verb">{{.From}}</span><code>{{.Name}}</code> <small>{{.Summary}}</small></summary><pre>{{.Example}}</pre></details>
{{end}}</section>
<section id="schemas"><h2>Shapes</h2>
{{range .Schemas}}<details id="schema-{{.Name}}"><summary><code>{{.Name}}</code></summary><pre>{{.Text}}</pre></details>
{{end}}</section>
</main>
</body>
</html>
`

// What the template is filled with.
type (
	docsGroup struct {
		Name, Anchor, Detail string
		Operations           []docsOperation
	}
	docsOperation struct {
		ID, Verb, Path, Summary, Detail, Example string
		Params                                   []docsParam
		Body                                     *docsContent
		Answers                                  []docsContent
	}
	docsParam struct {
		Name, Place, Values, Detail string
		Required                    bool
	}
	docsContent struct{ Status, Media, Schema string }
	docsText    struct{ Name, From, Summary, Example, Text string }
)

// docsPage is the page of some operations.
func (g *Gateway) docsPage(ops []operation) ([]byte, error) {
	page := struct {
		Version           string
		Groups            []docsGroup
		Messages, Schemas []docsText
	}{Version: g.opt.Version}
	for _, name := range groups() {
		group := docsGroup{Name: name, Detail: groupDetail(name), Anchor: strings.ReplaceAll(strings.ToLower(name), " ", "-")}
		for i := range ops {
			if ops[i].group == name {
				group.Operations = append(group.Operations, ops[i].docs())
			}
		}
		if len(group.Operations) > 0 {
			page.Groups = append(page.Groups, group)
		}
	}
	for from, messages := range [...][]wireMessage{serverMessages(), clientMessages()} {
		for _, m := range messages {
			example, err := json.Marshal(m.example)
			if err != nil {
				return nil, err
			}
			page.Messages = append(page.Messages, docsText{Name: m.name, From: [...]string{"server", "client"}[from], Summary: m.summary, Example: string(example)})
		}
	}
	for name, schema := range schemas() {
		b, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			return nil, err
		}
		page.Schemas = append(page.Schemas, docsText{Name: name, Text: string(b)})
	}
	slices.SortFunc(page.Schemas, func(a, b docsText) int { return strings.Compare(a.Name, b.Name) })
	t, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, &page)
	return b.Bytes(), err
}

func (o *operation) docs() docsOperation {
	d := docsOperation{ID: o.id, Verb: o.verb(), Path: o.path, Summary: o.summary, Detail: o.detail}
	query := make([]string, 0, len(o.params))
	path := o.path
	for i := range o.params {
		p := &o.params[i]
		d.Params = append(d.Params, docsParam{Name: p.name, Place: p.place(), Values: valuesOf(p.schema), Detail: p.detail, Required: p.required})
		example, ok := p.example.(string)
		switch {
		case p.place() == "path" && ok:
			path = strings.ReplaceAll(path, "{"+p.name+"}", example)
		case p.required && ok:
			query = append(query, p.name+"="+example)
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	if o.verb() == "GET" {
		d.Example = o.verb() + " " + path
	}
	if o.body != nil {
		d.Body = &docsContent{Media: o.body.media, Schema: schemaName(o.body.schema)}
	}
	for i := range o.answers {
		c := &o.answers[i]
		d.Answers = append(d.Answers, docsContent{Status: strconv.Itoa(max(c.status, 200)), Media: c.media, Schema: schemaName(c.schema)})
	}
	return d
}

// schemaName is the name of the schema that a reference points to, or that the rows of a list have.
func schemaName(schema object) string {
	if rows, ok := schema["items"].(object); ok {
		schema = rows
	}
	path, _ := schema["$ref"].(string)
	return path[strings.LastIndexByte(path, '/')+1:]
}

// valuesOf says in a few words what a parameter may be.
func valuesOf(schema object) string {
	words, _ := schema["type"].(string)
	if list, ok := schema["enum"].([]string); ok {
		words = strings.Join(list, ", ")
	}
	switch least, most := schema["minimum"], schema["maximum"]; {
	case least != nil && most != nil:
		words += " from " + textOf(least) + " to " + textOf(most)
	case least != nil:
		words += " from " + textOf(least)
	}
	if usual := schema["default"]; usual != nil {
		words += "; " + textOf(usual) + " when it is not given"
	}
	return words
}

func textOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return strings.Trim(string(b), `"`)
}
