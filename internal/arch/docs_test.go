package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every metric is in docs/operations.md, and nothing else there claims to be one.
func TestMetricsAreDocumented(t *testing.T) {
	operations := document(t, "operations.md")
	found := metrics(t)
	if len(found) < 10 {
		t.Fatalf("found only the metrics %q: this test has lost sight of how they are made", found)
	}
	for _, name := range found {
		if !strings.Contains(operations, "`"+name+"`") {
			t.Errorf("%s is not in docs/operations.md", name)
		}
	}
	for _, match := range regexp.MustCompile("`(tapedeck_[a-z0-9_]+)`").FindAllStringSubmatch(operations, -1) {
		if !slices.Contains(found, match[1]) {
			t.Errorf("docs/operations.md describes %s, which there is not", match[1])
		}
	}
}

// Every setting is in docs/operations.md.
func TestSettingsAreDocumented(t *testing.T) {
	operations := document(t, "operations.md")
	file := parse(t, filepath.Join(root, "internal/server/settings.go"))
	keys := 0
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != "settings" {
			return true
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			if key := text(call.Args[0]); key != "" {
				keys++
				if !strings.Contains(operations, "`"+key+"`") {
					t.Errorf("the setting %s is not in docs/operations.md", key)
				}
			}
			return true
		})
		return false
	})
	if keys < 5 {
		t.Errorf("found %d settings: this test has lost sight of them", keys)
	}
}

// Every error code of the stream, and every close code that the gateway's package comment lists, is in docs/protocol.md.
func TestStreamCodesAreDocumented(t *testing.T) {
	protocol := document(t, "protocol.md")
	files, err := filepath.Glob(filepath.Join(root, "internal/gateway/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, file), func(n ast.Node) bool {
			if code, ok := fieldsOf(n)["code"].(*ast.BasicLit); ok && code.Kind == token.INT {
				codes[code.Value] = true
			}
			return true
		})
	}
	comment, err := os.ReadFile(filepath.Join(root, "internal/gateway/doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^//\t([0-9]{4})  `).FindAllSubmatch(comment, -1) {
		codes[string(match[1])] = true
	}
	if len(codes) < 10 {
		t.Fatalf("found only the codes %q: this test has lost sight of them", slices.Sorted(maps.Keys(codes)))
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if !strings.Contains(protocol, "| "+code+" |") {
			t.Errorf("code %s is not in docs/protocol.md", code)
		}
	}
}

// metrics returns the names of all metrics that the packages under internal make. A metric is a struct literal with the fields
// Name and Help of the Prometheus client. Where a part of the name is a parameter of the function around it, the calls of that
// function in the same file give it.
func metrics(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		for _, metric := range metricNames(parse(t, name)) {
			names[metric] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(names))
}

// metricNames returns the names of the metrics that a file makes.
func metricNames(file *ast.File) []string {
	var names []string
	var around []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			around = around[:len(around)-1]
			return true
		}
		around = append(around, n)
		fields := fieldsOf(n)
		if fields["Name"] == nil || fields["Help"] == nil {
			return true
		}
		prefix := ""
		for _, part := range []string{text(fields["Namespace"]), text(fields["Subsystem"])} {
			if part != "" {
				prefix += part + "_"
			}
		}
		name := fields["Name"]
		if call, ok := name.(*ast.CallExpr); ok && len(call.Args) == 1 {
			prefix += addedBy(file, call.Fun)
			name = call.Args[0]
		}
		if sum, ok := name.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
			prefix += text(sum.X)
			name = sum.Y
		}
		if parameter, ok := name.(*ast.Ident); ok {
			for _, argument := range argumentsOf(file, around, parameter.Name) {
				names = append(names, prefix+argument)
			}
		} else {
			names = append(names, prefix+text(name))
		}
		return true
	})
	return names
}

// fieldsOf returns the fields of a struct literal by name.
func fieldsOf(n ast.Node) map[string]ast.Expr {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	fields := map[string]ast.Expr{}
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok {
				fields[key.Name] = pair.Value
			}
		}
	}
	return fields
}

// argumentsOf returns the literal values that the parameter of the innermost function around gets in the calls of the file.
func argumentsOf(file *ast.File, around []ast.Node, parameter string) []string {
	function, index := "", -1
	for i, n := range around {
		switch n := n.(type) {
		case *ast.FuncDecl:
			function, index = n.Name.Name, indexOf(n.Type, parameter)
		case *ast.FuncLit:
			if assign, ok := around[i-1].(*ast.AssignStmt); ok {
				if name, ok := assign.Lhs[0].(*ast.Ident); ok {
					function, index = name.Name, indexOf(n.Type, parameter)
				}
			}
		}
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && index >= 0 && index < len(call.Args) {
			if name, ok := call.Fun.(*ast.Ident); ok && name.Name == function && text(call.Args[index]) != "" {
				values = append(values, text(call.Args[index]))
			}
		}
		return true
	})
	return values
}

// addedBy returns what a function of the file, func(s string) string { return "…" + s }, puts before its argument.
func addedBy(file *ast.File, function ast.Expr) string {
	name, ok := function.(*ast.Ident)
	if !ok {
		return ""
	}
	added := ""
	ast.Inspect(file, func(n ast.Node) bool {
		assign, ok := n.(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 1 {
			return true
		}
		if left, ok := assign.Lhs[0].(*ast.Ident); !ok || left.Name != name.Name {
			return true
		}
		ast.Inspect(assign.Rhs[0], func(n ast.Node) bool {
			if sum, ok := n.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
				added = text(sum.X)
			}
			return true
		})
		return false
	})
	return added
}

func indexOf(function *ast.FuncType, parameter string) int {
	i := 0
	for _, field := range function.Params.List {
		for _, name := range field.Names {
			if name.Name == parameter {
				return i
			}
			i++
		}
	}
	return -1
}

// text returns the value of a string literal, and "" for anything else.
func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return value
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
