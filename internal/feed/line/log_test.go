package line

import "sync"

// logBuffer keeps a log.
type logBuffer struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

func (l *logBuffer) tail(n int) string {
	text := l.text()
	return text[max(0, len(text)-n):]
}
