// Package rpc sends requests to other services: calls, which are answered, and casts, which are not.
//
//	scheduler := rpc.Target{Topic: "scheduler", Version: "4.5"}
//	var hosts []string
//	if err := scheduler.Call("select_destinations", arguments, &hosts); err != nil {
//		return err
//	}
//
// The manifest says who may be asked for what: grants.rpc = ["scheduler.select_destinations", "compute/*"]. The context of
// the request that is being handled goes along. Casts are held back until the handler has succeeded, unless the manifest
// says otherwise.
package rpc

import (
	"encoding/json"
	"fmt"
	"time"

	"nova-host/nova"
)

// Target is who is asked, and how patiently.
type Target struct {
	Topic string
	// Server is one server of the topic; "" is any.
	Server string
	// Namespace is nil for the null namespace.
	Namespace *string
	// Version is the version that is needed; "" is 1.0.
	Version string
	// Broker is a broker by its name in the service's configuration; "" is the service's own.
	Broker string
	// Timeout is how long a call may take; 0 is a minute.
	Timeout time.Duration
	// Monitor is how long a call's server may be silent; 0 asks for no heartbeats.
	Monitor time.Duration
}

// Kind is why there is no result.
type Kind uint8

const (
	// Remote is the other side's own exception, which the handler's caller gets as it is.
	Remote Kind = iota
	// TimedOut is MessagingTimeout: no reply came in time. The request may have been handled.
	TimedOut
	// Unavailable is MessageDeliveryFailure: nobody serves the target, or the broker cannot be reached.
	Unavailable
	// Denied is PermissionError: the manifest does not grant it, or too many requests of handlers led to this one.
	Denied
	// Limited is RuntimeError: a limit was reached.
	Limited
	// Invalid is ValueError: the request makes no sense.
	Invalid
	// Unexpected is RuntimeError: the result is not what was expected.
	Unexpected
)

// Error is why there is no result: a Failure, which is what the handler's caller gets if this is returned.
type Error struct {
	Kind Kind
	*nova.Failure
}

// Unwrap gives the Failure.
func (err *Error) Unwrap() error { return err.Failure }

// Request is a request as the host takes it.
type Request struct {
	Target    Target
	Method    string
	Arguments string
	Fanout    bool
}

// Host is what sends requests. Natively, in tests, it is nobody until a test says otherwise; a component fills it in.
var Host = struct {
	Call func(requests []Request) []Reply
	Cast func(request Request) *Error
}{
	Call: func(requests []Request) []Reply {
		replies := make([]Reply, len(requests))
		for index, request := range requests {
			replies[index].Err = Raise(Unavailable, "nobody serves topic "+request.Target.Topic)
		}
		return replies
	},
	Cast: func(Request) *Error { return nil },
}

// Reply is the JSON of a result, or an error.
type Reply struct {
	Result string
	Err    *Error
}

// Raise is an error of a kind, with what oslo.messaging would raise.
func Raise(kind Kind, message string) *Error {
	failure := &nova.Failure{Class: "RuntimeError", Message: message}
	switch kind {
	case TimedOut:
		failure.Module, failure.Class = "oslo_messaging.exceptions", "MessagingTimeout"
	case Unavailable:
		failure.Module, failure.Class = "oslo_messaging.exceptions", "MessageDeliveryFailure"
	case Denied:
		failure.Class = "PermissionError"
	case Invalid:
		failure.Class = "ValueError"
	}
	return &Error{kind, failure}
}

// Call calls, and reads the result into a pointer; into nil, nowhere. Arguments are what encoding/json makes an object of, or
// nil.
func (target Target) Call(method string, arguments, result any) error {
	call := Asked{Target: target, Arguments: arguments, Result: result}
	CallMany(method, &call)
	return call.Err
}

// Asked is one of many calls, and what became of it.
type Asked struct {
	Target    Target
	Arguments any
	// Result is a pointer, or nil.
	Result any
	// Err is nil where there is a result.
	Err error
}

// CallMany calls all at once, and waits for all.
func CallMany(method string, calls ...*Asked) {
	var asked []*Asked
	var requests []Request
	for _, call := range calls {
		request, err := request(call.Target, method, call.Arguments, false)
		if call.Err = err; err == nil {
			asked, requests = append(asked, call), append(requests, request)
		}
	}
	if len(requests) == 0 {
		return
	}
	for index, reply := range Host.Call(requests) {
		asked[index].Err = reply.read(method, asked[index].Result)
	}
}

// Cast casts: nobody waits for a result. While casts are held, an error is only what is wrong with the request.
func (target Target) Cast(method string, arguments any) error {
	return target.cast(method, arguments, false)
}

// Fanout casts to every server of the topic.
func (target Target) Fanout(method string, arguments any) error {
	return target.cast(method, arguments, true)
}

func (target Target) cast(method string, arguments any, fanout bool) error {
	request, err := request(target, method, arguments, fanout)
	if err != nil {
		return err
	}
	if err := Host.Cast(request); err != nil {
		return err
	}
	return nil
}

func request(target Target, method string, arguments any, fanout bool) (Request, error) {
	written := []byte("{}")
	if arguments != nil {
		var err error
		if written, err = json.Marshal(arguments); err != nil {
			return Request{}, Raise(Invalid, fmt.Sprintf("JSON cannot express the arguments of %s: %v", method, err))
		}
	}
	return Request{Target: target, Method: method, Arguments: string(written), Fanout: fanout}, nil
}

func (reply Reply) read(method string, into any) error {
	if reply.Err != nil {
		return reply.Err
	}
	// Without the value, which may be a secret.
	if into != nil && json.Unmarshal([]byte(reply.Result), into) != nil {
		return Raise(Unexpected, fmt.Sprintf("the result of %s is not what was expected", method))
	}
	return nil
}
