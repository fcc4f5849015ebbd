// Package web holds the built user interface, so that the one binary brings
// its own pages and needs no folder beside it.
//
// The sources are in src, and dist is what `npm run build` makes of them. Dist
// is committed, so that building the program needs Go and nothing else; CI
// builds it again and compares the bytes.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built pages, rooted at the folder that holds index.html.
//
// Everything under assets/ has a hash of its content in its name and may be
// cached for ever; index.html must be asked for again each time.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("BUG: the embedded pages have no dist folder: " + err.Error())
	}
	return sub
}
