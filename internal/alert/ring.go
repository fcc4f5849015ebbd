package alert

// ring is a queue that can be looked into, and that takes elements near its end as well. It grows by doubling, and never shrinks.
type ring[T any] struct {
	buf  []T // of a power of two
	head int
	n    int
}

func (r *ring[T]) len() int { return r.n }

// at returns element i, counted from the oldest.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// pop removes the oldest.
func (r *ring[T]) pop() T {
	var none T
	p := r.at(0)
	v := *p
	*p = none
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// insert puts v before element i.
func (r *ring[T]) insert(i int, v T) {
	if r.n == len(r.buf) {
		grown := make([]T, max(8, 2*len(r.buf)))
		for j := range r.n {
			grown[j] = *r.at(j)
		}
		r.buf, r.head = grown, 0
	}
	r.n++
	for j := r.n - 1; j > i; j-- {
		*r.at(j) = *r.at(j - 1)
	}
	*r.at(i) = v
}

// splice puts v in the place of the elements from, …, to−1, which may be none.
func (r *ring[T]) splice(from, to int, v T) {
	if from == to {
		r.insert(from, v)
		return
	}
	*r.at(from) = v
	var none T
	for j := from + 1; j+to-from-1 < r.n; j++ {
		*r.at(j) = *r.at(j + to - from - 1)
	}
	for j := r.n - (to - from - 1); j < r.n; j++ {
		*r.at(j) = none
	}
	r.n -= to - from - 1
}
