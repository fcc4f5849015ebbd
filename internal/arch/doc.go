// Package arch holds the rest of the program to its plan: who may import whom, and that what is promised in
// docs/ is there. It has no code of its own, only tests.
//
// The tests read the sources in this process and ask no `go list` for them. The go tool keeps the result of
// a test for as long as the files that the test itself opened are unchanged; a child process's files it does
// not see, and a broken rule would go on passing from the cache.
package arch
