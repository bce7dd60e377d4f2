// Package http asks servers over HTTP, where the manifest grants it: grants.http = ["https://api.example.org"].
//
//	answer, err := http.Get("https://glance.example.org/v2/images")
//	if err != nil {
//		return nil, err
//	}
//	var images []Image
//	err = answer.JSON(&images)
//
// A request happens at once, whatever becomes of the handler afterwards, and nothing is added to it: no credential, no
// cookie. A redirect is a response like any other, and so is one whose status is an error.
package http

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"nova-host/nova"
)

// Header is a name and a value.
type Header struct{ Name, Value string }

// Request is what is sent.
type Request struct {
	// Method is in capital letters; "" is GET.
	Method string
	// URL is https://HOST[:PORT][/PATH][?QUERY], or the same with http.
	URL     string
	Headers []Header
	Body    []byte
	// Timeout is how long each step may take: to connect, to wait for the response, and for each piece of its body. With 0,
	// each may take as long as the handler.
	Timeout time.Duration
}

// Response is what came back, whatever its status.
type Response struct {
	Status int
	// Headers have names in small letters.
	Headers []Header
	// Body is all of the body.
	Body []byte
}

// Kind is why there is no response.
type Kind uint8

const (
	// Denied is PermissionError: the manifest does not grant the host, or its name leads to an address that is not
	// everybody's.
	Denied Kind = iota
	// TimedOut is TimeoutError: one of the steps took too long.
	TimedOut
	// Unavailable is ConnectionError: nobody is there, is trusted, or speaks HTTP.
	Unavailable
	// Limited is RuntimeError: a limit was reached.
	Limited
	// Invalid is ValueError: the request makes no sense.
	Invalid
	// Unexpected is RuntimeError: the body is not what was expected.
	Unexpected
)

var classes = [...]string{
	Denied: "PermissionError", TimedOut: "TimeoutError", Unavailable: "ConnectionError", Limited: "RuntimeError",
	Invalid: "ValueError", Unexpected: "RuntimeError",
}

// Error is why there is no response: a Failure, which is what the handler's caller gets if this is returned.
type Error struct {
	Kind Kind
	*nova.Failure
}

// Unwrap gives the Failure.
func (err *Error) Unwrap() error { return err.Failure }

// Raise is an error of a kind.
func Raise(kind Kind, message string) *Error { return &Error{kind, nova.Raise(classes[kind], message)} }

// Host is what sends requests. Natively, in tests, nobody answers until a test says otherwise; a component fills it in.
var Host = func(request Request) (*Response, *Error) {
	return nil, Raise(Unavailable, "nobody answers "+request.URL)
}

// Get gets a URL.
func Get(url string) (*Response, error) { return Request{URL: url}.Send() }

// Post posts to a URL.
func Post(url string, body []byte) (*Response, error) {
	return Request{Method: "POST", URL: url, Body: body}.Send()
}

// Send sends it, and waits for all of the response.
func (request Request) Send() (*Response, error) {
	if request.Method == "" {
		request.Method = "GET"
	}
	response, err := Host(request)
	if err != nil {
		return nil, err
	}
	return response, nil
}

// Header is the first value of a header; "" and false where there is none, or it is no text.
func (response *Response) Header(name string) (string, bool) {
	for _, header := range response.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value, utf8.ValidString(header.Value)
		}
	}
	return "", false
}

// Text is the body as text.
func (response *Response) Text() (string, error) {
	if !utf8.Valid(response.Body) {
		return "", Raise(Unexpected, "the body is not text")
	}
	return string(response.Body), nil
}

// JSON reads the body into a pointer.
func (response *Response) JSON(into any) error {
	// Without the value, which may be a secret.
	if json.Unmarshal(response.Body, into) != nil {
		return Raise(Unexpected, "the body is not what was expected")
	}
	return nil
}

// parts are scheme, authority and path of a URL; false where it is none.
func parts(url string) (scheme, authority, path string, ok bool) {
	scheme, rest, ok := strings.Cut(url, "://")
	rest, _, _ = strings.Cut(rest, "#")
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		return scheme, rest[:at], rest[at:], ok
	}
	return scheme, rest, "", ok
}
