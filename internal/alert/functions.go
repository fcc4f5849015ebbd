package alert

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"tapedeck/internal/market"
)

// functionNames returns the functions of the language, for errors.
func functionNames() []string {
	return []string{
		"change", "high", "low", "vwap", "volume", "count", "sma", "ema", "rsi", "atr", "crosses", "crosses_up", "crosses_down",
		"since_open", "prev_close", "age", "gap", "abs", "min", "max",
	}
}

// call builds a function:
//
//	change(w)                 percent from the price that stood a window ago
//	high(w) low(w) vwap(w)    of the trades of a window, vwap by size
//	volume(w) count(w)        sizes and number of its trades
//	sma(n, i) ema(n, i)       of the closes of n bars of an interval, the running one included
//	rsi(n, i) atr(n, i)       after Wilder, of the same bars
//	crosses(a, b)             a was below b before and is above it now, or the other way; crosses_up, crosses_down: one of both
//	since_open()              percent from the first price of the trading day
//	prev_close()              the last price of the trading day before
//	age()                     seconds since the last tick, by the clock of the feed
//	gap()                     ticks may be missing right before this one
//	abs(x) min(x, …) max(x, …)
func (p *Program) call(at ast.Node, name string, args []ast.Node, depth int) (typed, error) {
	switch name {
	case "change", "high", "low", "vwap", "volume", "count":
		if len(args) != 1 {
			return typed{}, p.wrong(at, "%s wants a length of time, as in %s(\"10s\")", name, name)
		}
		length, err := p.length(args[0])
		if err != nil {
			return typed{}, err
		}
		return p.counted(at, typed{node: windowed{useOf(name), indexOf(&p.windows, windowKey{length, useOf(name)})}})
	case "sma", "ema", "rsi", "atr":
		return p.average(at, name, args)
	case "crosses", "crosses_up", "crosses_down":
		numbers, err := p.numbers(at, name, args, depth, 2, 2)
		if err != nil {
			return typed{}, err
		}
		p.memory++
		return p.counted(at, typed{crossing{numbers[0], numbers[1], name != "crosses_down", name != "crosses_up", p.memory - 1}, true})
	case "abs":
		numbers, err := p.numbers(at, name, args, depth, 1, 1)
		return typed{node: plain{name, numbers}}, err
	case "min", "max":
		numbers, err := p.numbers(at, name, args, depth, 2, 10)
		return typed{node: plain{name, numbers}}, err
	case "since_open", "prev_close", "age", "gap":
		if len(args) != 0 {
			return typed{}, p.wrong(at, "%s wants nothing in its parentheses", name)
		}
		switch name {
		case "age":
			p.time = true
			return typed{node: aging{}}, nil
		case "gap":
			p.gaps = true
			return typed{holed{}, true}, nil
		}
		return typed{node: days{name}}, nil
	}
	return typed{}, p.wrong(at, "there is no function %q%s", clip(name), near(name, functionNames()))
}

// numbers builds the arguments of a function of numbers.
func (p *Program) numbers(at ast.Node, name string, args []ast.Node, depth, least, most int) ([]node, error) {
	if len(args) < least || len(args) > most {
		return nil, p.wrong(at, "%s wants %d to %d numbers, not %d", name, least, most, len(args))
	}
	list := make([]node, len(args))
	for i, arg := range args {
		x, err := p.build(arg, depth+1)
		if err != nil {
			return nil, err
		}
		if x.truth {
			return nil, p.wrong(arg, "%s wants a number", name)
		}
		list[i] = x.node
	}
	return list, nil
}

// average builds a function of bars.
func (p *Program) average(at ast.Node, name string, args []ast.Node) (typed, error) {
	want := func() (typed, error) {
		return typed{}, p.wrong(at, "%s wants a number of bars and their interval, as in %s(20, \"1m\")", name, name)
	}
	if len(args) != 2 {
		return want()
	}
	n, ok := args[0].(*ast.IntegerNode)
	if !ok || n.Value < 1 || n.Value > MaxPeriods {
		return typed{}, p.wrong(args[0], "want 1 to %d bars", MaxPeriods)
	}
	s, ok := args[1].(*ast.StringNode)
	if !ok {
		return want()
	}
	interval, err := market.ParseInterval(s.Value)
	if err != nil {
		return typed{}, p.wrong(args[1], "%w", err)
	}
	length, fixed := interval.Fixed()
	if !fixed {
		return typed{}, p.wrong(args[1], "%q: want an interval of seconds, minutes or hours", s.Value)
	}
	return p.counted(at, typed{node: averaged{indexOf(&p.averages, averageKey{name, n.Value, length})}})
}

// counted counts what has to be kept up to date.
func (p *Program) counted(at ast.Node, t typed) (typed, error) {
	if p.functions++; p.functions > MaxFunctions {
		return typed{}, p.wrong(at, "more than %d functions", MaxFunctions)
	}
	return t, nil
}

// indexOf returns the place of v in the list, where it is put if it is not there.
func indexOf[T comparable](list *[]T, v T) int {
	i := slices.Index(*list, v)
	if i < 0 {
		i = len(*list)
		*list = append(*list, v)
	}
	return i
}
