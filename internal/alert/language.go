package alert

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"

	"tapedeck/internal/market"
)

// Bounds of a condition. What is within them is evaluated in some microseconds at most, since nothing in the language repeats.
const (
	MaxSource     = 1024 // bytes
	MaxNodes      = 200
	MaxDepth      = 20
	MaxFunctions  = 16             // windows, averages and the like of one condition
	MaxLength     = 24 * time.Hour // of a window
	MinLength     = time.Millisecond
	MaxPeriods    = 500 // bars of an average
	maxIdentifier = 64
)

// ErrCondition is wrapped by the errors of Compile.
var ErrCondition = errors.New("bad condition")

// Program is a condition, or a value, that is ready to be evaluated for any number of symbols. It does not change.
type Program struct {
	source string
	root   node
	truth  bool // it is true or false, rather than a number

	windows   []windowKey  // what it looks at of windows, each once
	averages  []averageKey // what it looks at besides windows, each once
	memory    int          // numbers that are kept from one evaluation to the next
	quotes    bool         // it changes with quotes
	time      bool         // it changes while nothing happens
	gaps      bool         // it changes with gaps
	functions int
}

// String returns the condition as it was written.
func (p *Program) String() string { return p.source }

// Compile reads a condition: something that is true or false. Errors say where, and wrap ErrCondition.
func Compile(source string) (*Program, error) {
	p, err := compile(source)
	if err != nil {
		return nil, err
	}
	if !p.truth {
		return nil, fmt.Errorf("%w: %q is a number; compare it with one, as in %s > 0", ErrCondition, source, source)
	}
	return p, nil
}

// compile reads a condition or a number.
func compile(source string) (*Program, error) {
	switch {
	case strings.TrimSpace(source) == "":
		return nil, fmt.Errorf("%w: it is empty", ErrCondition)
	case len(source) > MaxSource:
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrCondition, len(source), MaxSource)
	}
	c := conf.CreateNew()
	c.MaxNodes = MaxNodes
	tree, err := new(parser.Parser).Parse(source, c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCondition, err)
	}
	p := &Program{source: source}
	typed, err := p.build(tree.Node, 1)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCondition, err)
	}
	p.root, p.truth = typed.node, typed.truth
	return p, nil
}

// typed is a part of a program and what it gives.
type typed struct {
	node  node
	truth bool
}

// wrong is an error at a place of the source.
func (p *Program) wrong(at ast.Node, format string, args ...any) error {
	from := min(max(at.Location().From, 0), len(p.source))
	return fmt.Errorf("at column %d: "+format, append([]any{from + 1}, args...)...)
}

func (p *Program) build(n ast.Node, depth int) (typed, error) {
	if depth > MaxDepth {
		return typed{}, p.wrong(n, "deeper than %d", MaxDepth)
	}
	switch n := n.(type) {
	case *ast.IntegerNode:
		return typed{node: constant(n.Value)}, nil
	case *ast.FloatNode:
		return typed{node: constant(n.Value)}, nil
	case *ast.BoolNode:
		return typed{node: constant(truthOf(n.Value)), truth: true}, nil
	case *ast.IdentifierNode:
		return p.name(n)
	case *ast.UnaryNode:
		return p.unary(n, depth)
	case *ast.BinaryNode:
		return p.binary(n, depth)
	case *ast.ConditionalNode:
		return p.choice(n, depth)
	case *ast.BuiltinNode:
		return p.call(n, n.Name, n.Arguments, depth)
	case *ast.CallNode:
		name, ok := n.Callee.(*ast.IdentifierNode)
		if !ok {
			return typed{}, p.wrong(n, "only functions can be called")
		}
		return p.call(n, name.Value, n.Arguments, depth)
	case *ast.StringNode:
		return typed{}, p.wrong(n, "%q is a text; texts stand for lengths of time, inside of functions, as in change(\"10s\")", clip(n.Value))
	default:
		return typed{}, p.wrong(n, "this is not part of the language: numbers, comparisons, and, or, not, + - * / and functions are")
	}
}

func (p *Program) unary(n *ast.UnaryNode, depth int) (typed, error) {
	x, err := p.build(n.Node, depth+1)
	if err != nil {
		return typed{}, err
	}
	switch n.Operator {
	case "not", "!":
		if !x.truth {
			return typed{}, p.wrong(n, "not wants something that is true or false")
		}
		return typed{not{x.node}, true}, nil
	case "-", "+":
		if x.truth {
			return typed{}, p.wrong(n, "%s wants a number", n.Operator)
		}
		if n.Operator == "+" {
			return x, nil
		}
		return typed{node: arithmetic{'-', constant(0), x.node}}, nil
	}
	return typed{}, p.wrong(n, "there is no operator %s", n.Operator)
}

func (p *Program) binary(n *ast.BinaryNode, depth int) (typed, error) {
	a, err := p.build(n.Left, depth+1)
	if err != nil {
		return typed{}, err
	}
	b, err := p.build(n.Right, depth+1)
	if err != nil {
		return typed{}, err
	}
	switch op := n.Operator; op {
	case "and", "&&", "or", "||":
		if !a.truth || !b.truth {
			return typed{}, p.wrong(n, "%s wants something that is true or false on both sides", op)
		}
		if op == "and" || op == "&&" {
			return typed{both{a.node, b.node}, true}, nil
		}
		return typed{either{a.node, b.node}, true}, nil
	case "<", "<=", ">", ">=", "==", "!=":
		if a.truth || b.truth {
			return typed{}, p.wrong(n, "%s wants a number on both sides", op)
		}
		relations := map[string]relation{"<": less, "<=": lessOrEqual, ">": greater, ">=": greaterOrEqual, "==": equal, "!=": different}
		return typed{comparison{relations[op], a.node, b.node}, true}, nil
	case "+", "-", "*", "/":
		if a.truth || b.truth {
			return typed{}, p.wrong(n, "%s wants a number on both sides", op)
		}
		return typed{node: arithmetic{op[0], a.node, b.node}}, nil
	}
	return typed{}, p.wrong(n, "there is no operator %s", n.Operator)
}

// choice builds a ? b : c.
func (p *Program) choice(n *ast.ConditionalNode, depth int) (typed, error) {
	var parts [3]typed
	for i, x := range []ast.Node{n.Cond, n.Exp1, n.Exp2} {
		var err error
		if parts[i], err = p.build(x, depth+1); err != nil {
			return typed{}, err
		}
	}
	if !parts[0].truth || parts[1].truth != parts[2].truth {
		return typed{}, p.wrong(n, "want CONDITION ? A : B, where A and B are both numbers or both conditions")
	}
	return typed{choice{parts[0].node, parts[1].node, parts[2].node}, parts[1].truth}, nil
}

// name builds a variable.
func (p *Program) name(n *ast.IdentifierNode) (typed, error) {
	v, ok := map[string]variable{"price": varPrice, "size": varSize, "bid": varBid, "ask": varAsk, "spread": varSpread, "mid": varMid}[n.Value]
	if !ok {
		names := append(functionNames(), "price", "size", "bid", "ask", "spread", "mid")
		return typed{}, p.wrong(n, "there is no %q%s", clip(n.Value), near(n.Value, names))
	}
	if v >= varBid {
		p.quotes = true
	}
	return typed{node: v}, nil
}

// length reads the length of a window.
func (p *Program) length(n ast.Node) (market.Time, error) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return 0, p.wrong(n, "want a length of time in quotes, such as \"10s\"")
	}
	d, err := time.ParseDuration(s.Value)
	if err != nil {
		return 0, p.wrong(n, "%q is not a length of time, such as \"10s\", \"5m\" or \"1h\"", clip(s.Value))
	}
	if d < MinLength || d > MaxLength {
		return 0, p.wrong(n, "%q is not between %v and %v", s.Value, MinLength, MaxLength)
	}
	return market.Time(d), nil
}

func clip(s string) string {
	if len(s) > maxIdentifier {
		return s[:maxIdentifier] + "…"
	}
	return s
}

func near(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := market.EditDistance(strings.ToLower(clip(word)), k); d < distance && d < len(word) {
			best, distance = k, d
		}
	}
	if best == "" {
		return "; there are " + strings.Join(known, ", ")
	}
	return "; did you mean " + best + "?"
}

func truthOf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unknown is the value of what can't be said: a window before the first trade, a division by zero. What depends on it is unknown
// as well, and a condition that is unknown is not met.
func unknown() float64 { return math.NaN() }
