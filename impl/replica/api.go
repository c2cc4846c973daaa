// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"dalio/impl/internal/failpoint"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

const (
	// maxRequest bounds a request in JSON.
	maxRequest = 64 << 10
	// headerTimeout is how long a connection may take to say what it wants, and
	// apiStall how long the other side may take nothing.
	headerTimeout = 5 * time.Second
	apiStall      = 10 * time.Second
)

// api serves the control API.
type api struct {
	server *Server
	http   *http.Server
	done   chan struct{}
}

// serveAPI serves the control API on a listener until it is closed.
func (s *Server) serveAPI(l net.Listener) *api {
	a := &api{server: s, done: make(chan struct{})}
	a.http = &http.Server{Handler: a.routes(), ReadHeaderTimeout: headerTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		defer close(a.done)
		_ = a.http.Serve(l) // Always ErrServerClosed: only close ends it.
	}()
	return a
}

func (a *api) close() error {
	err := a.http.Close()
	<-a.done
	if err != nil {
		return fmt.Errorf("close the control API: %w", err)
	}
	return nil
}

func (a *api) routes() http.Handler {
	s, mux := a.server, http.NewServeMux()
	handle := func(method, path string, f func(w http.ResponseWriter, r *http.Request) (any, error)) {
		mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
			out, err := f(w, r)
			s.counters.requested(path, err)
			answer(w, out, err)
		})
	}
	handle("GET", control.StatusPath, func(http.ResponseWriter, *http.Request) (any, error) { return s.Status(), nil })
	handle("POST", control.AssignPath, do(func(in control.Assignment) (any, error) { return nil, s.assign(in) }))
	handle("POST", control.FencePath, do(func(in control.Fence) (any, error) { return s.fence(in) }))
	handle("POST", control.OpenPath, do(func(in control.Opening) (any, error) { return nil, s.open(in) }))
	handle("POST", control.SettlePath, do(func(in control.Settlement) (any, error) { return nil, s.settle(in) }))
	handle("POST", control.ExpelPath, do(func(in control.Expulsion) (any, error) { return nil, s.expel(in) }))
	handle("POST", control.CatchUpPath, do(func(in control.CatchUp) (any, error) { return nil, s.startCatchUp(in) }))
	handle("POST", control.InstallPath, func(w http.ResponseWriter, r *http.Request) (any, error) {
		epoch, err := number(r, "epoch")
		if err != nil {
			return nil, err
		}
		err = receive(w, r, func(m *protocol.Message) error { return s.install(protocol.Epoch(epoch), m) })
		if err == nil {
			err = s.sync()
		}
		return nil, err
	})
	handle("GET", control.RecentPath, func(w http.ResponseWriter, r *http.Request) (any, error) {
		since, err := sinceAsked(r)
		if err != nil {
			return nil, err
		}
		return nil, send(w, func(out *control.Writer) error { return s.sendRecent(since, out) })
	})
	handle("GET", control.SessionsPath, func(w http.ResponseWriter, r *http.Request) (any, error) {
		if err := s.isSource(r); err != nil {
			return nil, err
		}
		return nil, send(w, s.sendSessions)
	})
	handle("GET", control.DigestsPath, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		bits, err := s.rangesOf(r)
		if err != nil {
			return nil, err
		}
		return s.digests(bits), nil
	})
	handle("GET", control.DigestPath, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		bits, index, err := s.rangeAsked(r)
		if err != nil {
			return nil, err
		}
		d, _ := s.digest(bits, index)
		return d, nil
	})
	handle("GET", control.RangePath, func(w http.ResponseWriter, r *http.Request) (any, error) {
		bits, index, err := s.rangeAsked(r)
		if err != nil {
			return nil, err
		}
		return nil, send(w, func(out *control.Writer) error { return s.sendRange(bits, index, out) })
	})
	mux.Handle("/failpoints", failpoint.Handler())
	return mux
}

func badRequest(format string, arguments ...any) error {
	return &control.Error{Code: http.StatusBadRequest, Message: fmt.Sprintf(format, arguments...)}
}

// do decodes a request, and hands it on.
func do[T any](f func(T) (any, error)) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		var in T
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, badRequest("%v; want a JSON object of at most %d bytes", err, maxRequest)
		}
		return f(in)
	}
}

// answer sends what came of a request, unless that has been sent already.
func answer(w http.ResponseWriter, out any, err error) {
	if errors.Is(err, errBegun) {
		panic(http.ErrAbortHandler) // The stream must not look complete.
	}
	if err == nil {
		if out != nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(out) // Who asked has gone away: nobody to tell.
		}
		return
	}
	refusal := &control.Error{Code: http.StatusInternalServerError, Message: err.Error()}
	errors.As(err, &refusal)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refusal.Code)
	_ = json.NewEncoder(w).Encode(refusal)
}

// number returns a parameter that is a number.
func number(r *http.Request, name string) (uint64, error) {
	n, err := strconv.ParseUint(r.FormValue(name), 10, 32)
	if err != nil {
		return 0, badRequest("parameter %s is %q: want a number", name, r.FormValue(name))
	}
	return n, nil
}

// errBegun says that a stream broke off after it had begun.
var errBegun = errors.New("stream broken off")

// send sends a stream of messages.
func send(w http.ResponseWriter, write func(*control.Writer) error) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	out := control.NewWriter(&patient{w, http.NewResponseController(w)})
	if err := write(out); err != nil {
		return fmt.Errorf("%w: %w", errBegun, err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("%w: %w", errBegun, err)
	}
	return nil
}

// patient gives each write of a stream its time.
type patient struct {
	io.Writer
	controller *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.controller.SetWriteDeadline(time.Now().Add(apiStall)); err != nil {
		return 0, err
	}
	return p.Writer.Write(b)
}

// receive takes a stream of messages.
func receive(w http.ResponseWriter, r *http.Request, take func(*protocol.Message) error) error {
	in, controller := control.NewReader(r.Body), http.NewResponseController(w)
	var m protocol.Message
	for {
		if err := controller.SetReadDeadline(time.Now().Add(apiStall)); err != nil {
			return err
		}
		err := in.Read(&m)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return badRequest("%v", err)
		}
		if err := take(&m); err != nil {
			return err
		}
	}
}

// Status returns what the replica tells of itself.
func (s *Server) Status() control.Status {
	s.membership.RLock()
	defer s.membership.RUnlock()
	r := &s.replica
	out := control.Status{Instance: s.instance, Shard: s.shard, ID: r.ID, Epoch: r.Epoch, Open: r.ID != 0 && !r.Fenced,
		Floor: r.Floor, Collect: r.Collect, Newest: r.Floor, CatchUp: s.progress(), Counters: s.Counters(), Sessions: s.sessions.count()}
	if s.returned != nil {
		returned := *s.returned
		out.Returned = &returned
	}
	if s.keeper != nil {
		disk := s.keeper.Disk()
		out.Disk = &disk
	}
	for i := range Stripes {
		s.stripes[i].Lock()
		records, bytes := s.store.Size(i)
		out.Records += records
		out.Bytes += bytes
		s.store.Recent(i, func(_ string, rec protocol.Record) bool {
			out.Recent++
			if out.Newest.Less(rec.Version) {
				out.Newest = rec.Version
			}
			return true
		})
		s.stripes[i].Unlock()
	}
	return out
}

// until closes the API when the context ends.
func (a *api) until(ctx context.Context) error {
	<-ctx.Done()
	return a.close()
}
