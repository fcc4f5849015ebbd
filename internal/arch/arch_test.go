package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is this repository, seen from the folder that the go tool runs these tests in.
const root = "../.."

// floors is the plan, drawn in docs/architecture.md. A package imports only from lower floors. "…/..." takes
// in every folder below. A folder inside a package's folder stands on the same floor and may lean on that
// package (feed/sim on feed, tape/tapetest on tape), never on the folders beside it.
var floors = [][]string{
	{"internal/market", "internal/latency", "internal/thrift", "internal/arch", "web"},
	{
		"internal/tape/...", "internal/archive/...", "internal/candle", "internal/columnar", "internal/layout/...", "internal/venue/...",
		"internal/websocket",
	},
	{"internal/broker/..."},
	{
		"internal/feed/...", "internal/store", "internal/alert", "internal/gateway", "internal/replay",
		"internal/natstape", "internal/auth", "internal/load", "internal/publish",
	},
	{"internal/server"},
	{"cmd/...", "bench/...", "examples/..."},
}

// vague are package names that say where things were put away, not what they are.
var vague = []string{
	"base", "common", "core", "helper", "helpers", "lib", "manager", "misc", "shared", "tools", "types", "util", "utils",
}

// comparer is what tests may use even on floor 0.
const comparer = "github.com/google/go-cmp/cmp"

func TestFloors(t *testing.T) {
	for _, problem := range check(t, root) {
		t.Error(problem)
	}
}

// A folder of Go files, as far as the plan cares. Imports tell whether all that ask for them are tests.
type folder struct {
	path     string
	names    map[string]bool
	comments int
	imports  map[string]bool
}

// check reads the module at root and returns what breaks the plan, a sentence each.
func check(t *testing.T, root string) []string {
	t.Helper()
	module, folders, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) == 0 {
		t.Fatalf("no Go package below %s", root)
	}
	var problems []string
	for _, f := range folders {
		problems = append(problems, f.shape()...)
		floor, ok := floorOf(f.path)
		if !ok {
			problems = append(problems, f.path+" is on no floor: place it in internal/arch, and in docs/architecture.md")
			continue
		}
		for _, imported := range slices.Sorted(maps.Keys(f.imports)) {
			if inside, ok := strings.CutPrefix(imported, module+"/"); ok {
				problems = append(problems, f.may(floor, inside, f.imports[imported])...)
			} else if floor == 0 && thirdParty(imported) && (!f.imports[imported] || imported != comparer) {
				problems = append(problems, fmt.Sprintf("%s imports %s: floor 0 needs only the standard library", f.path, imported))
			}
		}
	}
	return problems
}

// shape returns what is wrong with the folder by itself.
func (f folder) shape() []string {
	var problems []string
	if f.comments != 1 {
		problems = append(problems, fmt.Sprintf("%s has %d package comments, want 1", f.path, f.comments))
	}
	for _, name := range append(slices.Sorted(maps.Keys(f.names)), path.Base(f.path)) {
		if slices.Contains(vague, name) {
			return append(problems, fmt.Sprintf("%s: the name %s does not say what it gives", f.path, name))
		}
	}
	return problems
}

// may returns what is wrong with f, on the given floor, importing a folder of the module. Tests may also import the
// package that they test, what stands inside its folder, and any test kit of their floor.
func (f folder) may(floor int, imported string, onlyTests bool) []string {
	other, ok := floorOf(imported)
	kit := strings.HasSuffix(imported, "test")
	switch {
	case !ok:
		return nil // Said once, of the imported folder.
	case kit && !onlyTests && !strings.HasPrefix(f.path, "bench/"):
		return []string{fmt.Sprintf("%s imports %s, which is for tests", f.path, imported)}
	case other < floor, path.Dir(f.path) == imported:
		return nil
	case onlyTests && (imported == f.path || path.Dir(imported) == f.path || kit && other == floor):
		return nil
	}
	return []string{fmt.Sprintf("%s (floor %d) imports %s (floor %d)", f.path, floor, imported, other)}
}

func floorOf(folder string) (int, bool) {
	for i, floor := range floors {
		for _, entry := range floor {
			below, all := strings.CutSuffix(entry, "/...")
			if folder == below || all && strings.HasPrefix(folder, below+"/") {
				return i, true
			}
		}
	}
	return 0, false
}

// thirdParty tells modules from the standard library by the dot of their host name.
func thirdParty(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".")
}

// read parses the module at root: its name, and each folder that holds Go files, in order.
func read(root string) (module string, folders []folder, err error) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", nil, err
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	module = strings.TrimPrefix(first, "module ")
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name != root && skipped(name, entry.Name()) {
			return fs.SkipDir
		}
		f, err := readFolder(root, name)
		if err == nil && len(f.names) > 0 {
			folders = append(folders, f)
		}
		return err
	})
	return module, folders, err
}

// skipped tells the folders that are no part of the module: the go tool's exceptions, other modules, and
// packages of another language that happen to bring Go files along.
func skipped(name, base string) bool {
	if base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func readFolder(root, name string) (folder, error) {
	relative, err := filepath.Rel(root, name)
	if err != nil {
		return folder{}, err
	}
	f := folder{path: filepath.ToSlash(relative), names: map[string]bool{}, imports: map[string]bool{}}
	files, err := filepath.Glob(filepath.Join(name, "*.go"))
	if err != nil {
		return folder{}, err
	}
	for _, file := range files {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return folder{}, err
		}
		if err := f.add(syntax, strings.HasSuffix(file, "_test.go")); err != nil {
			return folder{}, err
		}
	}
	return f, nil
}

// add takes in one file. External test packages have no name or comment of their own to judge.
func (f *folder) add(syntax *ast.File, test bool) error {
	if !test || !strings.HasSuffix(syntax.Name.Name, "_test") {
		f.names[syntax.Name.Name] = true
		if syntax.Doc != nil {
			f.comments++
		}
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		before, known := f.imports[imported]
		f.imports[imported] = test && (before || !known)
	}
	return nil
}
