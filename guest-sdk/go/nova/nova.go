// Package nova writes handlers for Nova Host in Go.
//
//	func init() {
//		nova.Serve(nova.Endpoint{Version: "1.3", Methods: nova.Methods{"divide": nova.Method(divide)}})
//	}
//
//	func divide(args struct{ A, B float64 }) (float64, error) { return args.A / args.B, nil }
//
// The arguments are a struct, whose fields are the keyword arguments; the result is anything that encoding/json writes.
// An error is a RuntimeError for the caller, a *Failure any exception, and ErrDeclined leaves the request to others. A panic
// ends the instance as HandlerTrapped, with its words. Typed handlers use everything here but Serve.
//
// Packages rpc, config, keyvalue and http are what a manifest gives and grants.
package nova

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
)

// Function runs a method: JSON in, JSON out.
type Function func(arguments string) (string, *Failure)

// Methods are the methods of an endpoint, by their names.
type Methods map[string]Function

// Endpoint is a group of methods under one namespace and version.
type Endpoint struct {
	// Namespace is nil for the null namespace.
	Namespace *string
	// Version is MAJOR.MINOR.
	Version string
	Methods Methods
}

// Endpoints are all that the handler serves.
var Endpoints []Endpoint

// Serve offers endpoints. To be called in init.
func Serve(endpoints ...Endpoint) { Endpoints = append(Endpoints, endpoints...) }

// Namespace is a namespace by its name.
func Namespace(name string) *string { return &name }

// Method makes a method of a function.
func Method[A, R any](function func(A) (R, error)) Function {
	call := "(" + reflect.TypeFor[A]().String() + ")"
	return func(arguments string) (string, *Failure) {
		var args A
		if wrong := decode(arguments, &args); wrong != "" {
			return "", Raise("TypeError", wrong)
		}
		result, err := function(args)
		if failure := failureOf(err); failure != nil {
			return "", failure
		}
		written, err := json.Marshal(result)
		if err != nil {
			return "", Raise("TypeError", fmt.Sprintf("the result of %s is no JSON: %v", call, err))
		}
		return string(written), nil
	}
}

// Level says how urgent a line of the log is.
type Level uint8

// The levels, from the least to the most urgent.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Host is what the service offers. Natively, in tests, it is very little; a component fills it in.
var Host = struct {
	Write        func(level Level, message string)
	Panicking    func(message string)
	Context      func() string
	ContextEntry func(name string) (string, bool)
	ReplyWanted  func() bool
	TimeLeftMs   func() uint64
	Decline      func()
}{
	Write:        func(_ Level, message string) { fmt.Fprintln(os.Stderr, message) },
	Panicking:    func(string) {},
	Context:      func() string { return "{}" },
	ContextEntry: func(string) (string, bool) { return "", false },
	ReplyWanted:  func() bool { return true },
	TimeLeftMs:   func() uint64 { return 60_000 },
	Decline:      func() {},
}

// Log writes a line to the service's log.
func Log(level Level, message string) { Host.Write(level, words(message)) }

// Context reads the caller's request context into a struct or a map. It often holds a live token: never log it.
func Context(into any) error { return json.Unmarshal([]byte(Host.Context()), into) }

// Request is what is known about the request beside its arguments and its context.
type Request struct {
	Method    string
	Namespace *string
	Version   string
}

// Current is the request that is being handled, in a dynamic handler.
var Current Request

// ReplyWanted says whether the caller waits for the result.
func ReplyWanted() bool { return Host.ReplyWanted() }

// TimeLeftMs is what is left before the handler is stopped.
func TimeLeftMs() uint64 { return Host.TimeLeftMs() }

// Handle runs one request. Called by the component.
func Handle(endpoint uint32, request Request, arguments string) (string, *Failure) {
	defer func() {
		if reason := recover(); reason != nil {
			Host.Panicking(strings.ToValidUTF8(fmt.Sprint(reason), "\uFFFD") + where())
			panic(reason)
		}
	}()
	Current = request
	result, failure := Endpoints[endpoint].Methods[request.Method](arguments)
	if failure == ErrDeclined {
		Host.Decline()
	}
	return result, failure
}

// where is the place of a panic, seen from the deferred function that recovers it.
func where() string {
	frames := make([]uintptr, 16)
	stack := runtime.CallersFrames(frames[:runtime.Callers(2, frames)])
	panicked := false
	for {
		frame, more := stack.Next()
		if panicked && frame.Function != "runtime.panicmem" && frame.Function != "runtime.sigpanic" {
			return fmt.Sprintf(" (%s)", frame.Function)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}
