// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"dalio/impl/internal/unixsocket"
)

// statusTimeout bounds each exchange on the status socket.
const statusTimeout = 5 * time.Second

// statusServer serves the admin API on a unix socket.
type statusServer struct {
	path   string
	server *http.Server
	done   chan struct{}
}

func serveStatus(path string, handler http.Handler) (*statusServer, error) {
	address, done, err := unixsocket.Address(path)
	if err != nil {
		return nil, fmt.Errorf("%w: status socket: %w", ErrConfiguration, err)
	}
	defer done()
	if err := removeStale(path, address); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", address)
	if err != nil {
		return nil, fmt.Errorf("%w: status socket: %w", ErrConfiguration, err)
	}
	// The listener would remove its address, which may be good for this moment only.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("status socket: %w", err), listener.Close(), os.Remove(path))
	}
	s := &statusServer{path: path, done: make(chan struct{}),
		server: &http.Server{Handler: handler, ReadTimeout: statusTimeout, WriteTimeout: statusTimeout}}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // Always ErrServerClosed: only close ends it.
	}()
	return s, nil
}

// removeStale removes the socket of a coordinator that was killed.
func removeStale(path, address string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // Listening will say what is wrong, if anything is.
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%w: status socket %s: there is a file that is no socket", ErrConfiguration, path)
	}
	if conn, err := net.Dial("unix", address); err == nil {
		conn.Close()
		return fmt.Errorf("%w: status socket %s: another coordinator serves it", ErrConfiguration, path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the status socket of a coordinator that is gone: %w", err)
	}
	return nil
}

func (s *statusServer) close() error {
	err := s.server.Close()
	<-s.done
	if s.path == "" {
		return err
	}
	if removeErr := os.Remove(s.path); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("remove the status socket: %w", removeErr))
	}
	return err
}

// serveAdmin serves the admin API on TCP.
func serveAdmin(at netip.AddrPort, handler http.Handler) (*statusServer, error) {
	listener, err := net.Listen("tcp4", at.String())
	if err != nil {
		return nil, fmt.Errorf("%w: admin address: %w", ErrConfiguration, err)
	}
	s := &statusServer{done: make(chan struct{}),
		server: &http.Server{Handler: handler, ReadTimeout: statusTimeout, WriteTimeout: statusTimeout}}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // Always ErrServerClosed: only close ends it.
	}()
	return s, nil
}

// FetchStatus asks a coordinator for its status: by the path of its status socket,
// or the IP:PORT of its admin API.
func FetchStatus(ctx context.Context, target string) (*Status, error) {
	var s Status
	if err := ask(ctx, target, http.MethodGet, "/status", nil, &s); err != nil {
		return nil, fmt.Errorf("ask the coordinator for its status: %w", err)
	}
	return &s, nil
}

// ChangeMembers asks a coordinator, as FetchStatus does, for a change of the
// replicas. It returns an error that wraps ErrRefused or ErrConfiguration if there
// is a reason that the operator can do something about.
func ChangeMembers(ctx context.Context, target string, change MemberChange) error {
	if err := ask(ctx, target, http.MethodPost, MembersPath, change, nil); err != nil {
		return fmt.Errorf("%s %s: %w", change.Do, change.Replica, err)
	}
	return nil
}

// Failover has a coordinator take over that stands by. It returns when that has
// been asked for; the status tells when it is done.
func Failover(ctx context.Context, target string) error {
	if err := ask(ctx, target, http.MethodPost, FailoverPath, nil, nil); err != nil {
		return fmt.Errorf("fail over: %w", err)
	}
	return nil
}

// ask makes a request to the admin API.
func ask(ctx context.Context, target, method, path string, in, out any) error {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if _, err := netip.ParseAddrPort(target); err == nil {
			var d net.Dialer
			return d.DialContext(ctx, "tcp4", target)
		}
		return unixsocket.Dial(ctx, target)
	}}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	body := new(bytes.Buffer)
	if in != nil {
		if err := json.NewEncoder(body).Encode(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://coordinator"+path, body)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // The URL is made up and would explain nothing.
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// refusal returns the error that the coordinator answered with.
func refusal(response *http.Response) error {
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	message := strings.TrimSpace(string(said))
	if err != nil || message == "" {
		return fmt.Errorf("it answered %s", response.Status)
	}
	for status, kind := range map[int]error{http.StatusBadRequest: ErrConfiguration, http.StatusConflict: ErrRefused} {
		if rest, ok := strings.CutPrefix(message, kind.Error()+": "); ok && response.StatusCode == status {
			return fmt.Errorf("%w: %s", kind, rest)
		}
	}
	return errors.New(message)
}
