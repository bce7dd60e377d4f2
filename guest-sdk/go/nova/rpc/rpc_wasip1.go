package rpc

import (
	"encoding/json"
	"time"

	"nova-host/nova"
	"wit_component/nova_rpc_client"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func init() {
	Host.Call = call
	Host.Cast = cast
}

func call(requests []Request) []Reply {
	lowered := make([]nova_rpc_client.Request, len(requests))
	for index, request := range requests {
		lowered[index] = lower(request)
	}
	var results []witTypes.Result[string, nova_rpc_client.Error]
	if len(lowered) == 1 {
		results = append(results, nova_rpc_client.Call(lowered[0]))
	} else {
		results = nova_rpc_client.CallMany(lowered)
	}
	replies := make([]Reply, len(results))
	for index, result := range results {
		if result.IsOk() {
			replies[index].Result = result.Ok()
		} else {
			replies[index].Err = lift(result.Err())
		}
	}
	return replies
}

func cast(request Request) *Error {
	function := nova_rpc_client.Cast
	if request.Fanout {
		function = nova_rpc_client.Fanout
	}
	if result := function(lower(request)); result.IsErr() {
		return lift(result.Err())
	}
	return nil
}

func lower(request Request) nova_rpc_client.Request {
	target := request.Target
	namespace := witTypes.None[string]()
	if target.Namespace != nil {
		namespace = witTypes.Some(*target.Namespace)
	}
	return nova_rpc_client.Request{
		Target: nova_rpc_client.Target{
			Broker: optional(target.Broker), Topic: target.Topic, Server: optional(target.Server),
			Namespace: namespace, Version: optional(target.Version),
		},
		Method: request.Method, Arguments: request.Arguments,
		TimeoutMs: milliseconds(target.Timeout), MonitorMs: milliseconds(target.Monitor),
	}
}

func optional(text string) witTypes.Option[string] {
	if text == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(text)
}

func milliseconds(duration time.Duration) witTypes.Option[uint64] {
	if duration <= 0 {
		return witTypes.None[uint64]()
	}
	return witTypes.Some(uint64(duration.Milliseconds()))
}

func lift(err nova_rpc_client.Error) *Error {
	switch err.Tag() {
	case nova_rpc_client.ErrorRemote:
		return remote(err.Remote())
	case nova_rpc_client.ErrorTimedOut:
		return Raise(TimedOut, err.TimedOut())
	case nova_rpc_client.ErrorUnavailable:
		return Raise(Unavailable, err.Unavailable())
	case nova_rpc_client.ErrorDenied:
		return Raise(Denied, err.Denied())
	case nova_rpc_client.ErrorLimited:
		return Raise(Limited, err.Limited())
	default:
		return Raise(Invalid, err.Invalid())
	}
}

// remote keeps the arguments as they are written.
func remote(given nova_rpc_client.Failure) *Error {
	failure := &nova.Failure{
		Class: given.Class, Module: given.Module, Message: given.Message, Args: []any{}, Traceback: given.Traceback,
	}
	var args []json.RawMessage
	var kwargs map[string]json.RawMessage
	json.Unmarshal([]byte(given.Args), &args)
	json.Unmarshal([]byte(given.Kwargs), &kwargs)
	for _, arg := range args {
		failure.Args = append(failure.Args, arg)
	}
	failure.Kwargs = map[string]any{}
	for name, value := range kwargs {
		failure.Kwargs[name] = value
	}
	return &Error{Remote, failure}
}
