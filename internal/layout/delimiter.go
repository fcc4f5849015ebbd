package layout

import (
	"bytes"
	"slices"
)

// delimiter finds what stands between fields: what occurs equally often in most of the first lines.
func delimiter(head []byte) byte {
	lines := bytes.Split(head, []byte("\n"))
	if len(lines) > 1 {
		lines = lines[:len(lines)-1] // The last may be cut off.
	}
	lines = lines[:min(len(lines), probeLines)]
	best, bestLines, bestCount := byte(','), 0, 0
	for _, d := range []byte(",;\t|") {
		var counts []int
		for _, line := range lines {
			if n := count(line, d); n > 0 {
				counts = append(counts, n)
			}
		}
		slices.Sort(counts)
		usual, run := 0, 0
		for i := 0; i < len(counts); {
			j := i
			for j < len(counts) && counts[j] == counts[i] {
				j++
			}
			if j-i >= run {
				usual, run = counts[i], j-i
			}
			i = j
		}
		if run > bestLines || run == bestLines && usual > bestCount {
			best, bestLines, bestCount = d, run, usual
		}
	}
	return best
}

// count counts d outside of quotes.
func count(line []byte, d byte) int {
	n, quoted := 0, false
	for _, c := range line {
		switch c {
		case '"':
			quoted = !quoted
		case d:
			if !quoted {
				n++
			}
		}
	}
	return n
}
