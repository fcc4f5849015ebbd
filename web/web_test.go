package web_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"tapedeck/web"
)

// TestFiles holds that the binary brings the whole page: all that index.html asks for is there.
func TestFiles(t *testing.T) {
	files := web.Files()
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllSubmatch(index, -1)
	if len(links) < 3 {
		t.Errorf("index.html asks for %d files, want its script, style and icon at least", len(links))
	}
	for _, link := range links {
		if _, err := fs.Stat(files, string(link[1])); err != nil {
			t.Errorf("index.html asks for a file that is not there: %v", err)
		}
	}
	plotly, err := fs.Glob(files, "assets/plotly*.js")
	if err != nil || len(plotly) != 1 {
		t.Errorf("got %q (%v), want the one library of the live line", plotly, err)
	}
	if strings.Contains(string(index), "plotly") {
		t.Error("index.html loads the library of the live line at once")
	}
}
