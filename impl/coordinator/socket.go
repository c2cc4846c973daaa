// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"dalio/impl/internal/unixsocket"
)

// statusTimeout bounds each exchange on the status socket.
const statusTimeout = 5 * time.Second

// statusServer answers GET /status on a unix socket with a Status in JSON.
type statusServer struct {
	path   string
	server *http.Server
	done   chan struct{}
}

func serveStatus(path string, status func() (*Status, error)) (*statusServer, error) {
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
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s, err := status()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s) // Who asked has gone away: nobody to tell.
	})
	s := &statusServer{path: path, done: make(chan struct{}),
		server: &http.Server{Handler: mux, ReadTimeout: statusTimeout, WriteTimeout: statusTimeout}}
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
	if removeErr := os.Remove(s.path); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("remove the status socket: %w", removeErr))
	}
	return err
}

// FetchStatus asks a coordinator's status socket.
func FetchStatus(ctx context.Context, path string) (*Status, error) {
	transport := &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return unixsocket.Dial(ctx, path)
		}}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://coordinator/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the coordinator for its status: %w", err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // The URL is made up and would explain nothing.
	}
	if err != nil {
		return nil, fmt.Errorf("ask the coordinator for its status: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the coordinator for its status: it answered %s", response.Status)
	}
	var s Status
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return nil, fmt.Errorf("read the coordinator's status: %w", err)
	}
	return &s, nil
}
