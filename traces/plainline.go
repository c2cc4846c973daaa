// SPDX-License-Identifier: Apache-2.0

package traces

import "bytes"

// plainLines reads lines that are just as a Recorder writes them, in a tenth of the
// time that any other JSON takes. It knows nothing that parseLine does not: whatever
// it does not expect it leaves alone.
type plainLines struct {
	// keys has those met of late, so that the many lines of a key share one string.
	keys map[string]string
}

// maxKeys bounds what is kept of keys.
const maxKeys = 1 << 16

// parse returns the event on a line, or false if the line is none of those.
func (p *plainLines) parse(line []byte) (e Event, ok bool) {
	l := plainLine{rest: bytes.TrimSuffix(line, []byte("\n")), ok: true}
	l.skip(`{"process":`)
	e.Process = int(l.number())
	l.skip(`,"type":"`)
	e.Type = l.word(Invoke, OK, Fail, Info)
	l.skip(`,"f":"`)
	e.F = l.word(Read, Write, Delete)
	l.skip(`,"key":"`)
	key := l.text()
	l.skip(`,"value":`)
	var value []byte
	null := l.try("null")
	if !null {
		l.skip(`"`)
		value = l.text()
	}
	l.skip(`,"time":`)
	e.Time = l.number()
	if l.try(`,"version":[`) {
		epoch := uint64(l.number())
		l.skip(",")
		e.Version = &Version{epoch, uint64(l.number())}
		l.skip("]")
	}
	l.skip("}")
	if !l.ok || len(l.rest) != 0 {
		return Event{}, false
	}
	e.Key = p.share(key)
	if !null {
		s := string(value)
		e.Value = &s
	}
	return e, true
}

func (p *plainLines) share(key []byte) string {
	if shared, ok := p.keys[string(key)]; ok {
		return shared
	}
	if p.keys == nil || len(p.keys) == maxKeys {
		p.keys = map[string]string{}
	}
	shared := string(key)
	p.keys[shared] = shared
	return shared
}

// plainLine is what is left of a line; ok until something else than expected came.
type plainLine struct {
	rest []byte
	ok   bool
}

func (l *plainLine) try(what string) bool {
	if len(l.rest) < len(what) || string(l.rest[:len(what)]) != what {
		return false
	}
	l.rest = l.rest[len(what):]
	return true
}

func (l *plainLine) skip(what string) { l.ok = l.try(what) && l.ok }

// number reads up to 18 digits: any such number fits 64 bits.
func (l *plainLine) number() (n int64) {
	const most = 18
	i := 0
	for i < len(l.rest) && i <= most && l.rest[i] >= '0' && l.rest[i] <= '9' {
		n = 10*n + int64(l.rest[i]-'0')
		i++
	}
	l.ok = l.ok && i > 0 && i <= most && (i == 1 || l.rest[0] != '0') && n == int64(int(n))
	l.rest = l.rest[i:]
	return n
}

// word reads one of the words, and the quotation mark behind it.
func (l *plainLine) word(words ...string) string {
	for _, word := range words {
		if n := len(word); len(l.rest) > n && l.rest[n] == '"' && string(l.rest[:n]) == word {
			l.rest = l.rest[n+1:]
			return word
		}
	}
	l.ok = false
	return ""
}

// text reads a string of plain ASCII to its end.
func (l *plainLine) text() []byte {
	for i, c := range l.rest {
		if c == '"' {
			text := l.rest[:i]
			l.rest = l.rest[i+1:]
			return text
		}
		if c < ' ' || c > '~' || c == '\\' {
			break
		}
	}
	l.ok = false
	return nil
}
