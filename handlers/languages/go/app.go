// Package calculator is the calculator that every language has, in Go: what a handler can do, and do wrong.
package calculator

import (
	"encoding/json"
	"fmt"
	"strings"

	"nova-host/nova"
	"nova-host/nova/trace"
)

func init() {
	nova.Serve(nova.Endpoint{Version: "1.3", Methods: nova.Methods{
		"add":           nova.Method(add),
		"divide":        nova.Method(divide),
		"echo":          nova.Method(echo),
		"concat":        nova.Method(concat),
		"blob":          nova.Method(blob),
		"not_found":     nova.Method(notFound),
		"context":       nova.Method(context),
		"log":           nova.Method(log),
		"panic":         nova.Method(panics),
		"loop_forever":  nova.Method(loopForever),
		"allocate":      nova.Method(allocate),
		"calls":         nova.Method(calls),
		"object_action": nova.Method(objectAction),
		"mark":          nova.Method(mark),
		"fail_oddly":    nova.Method(failOddly),
		"fresh":         nova.Method(fresh),
		"ask":           nova.Method(ask),
		"ask_kindly":    nova.Method(askKindly),
		"ask_all":       nova.Method(askAll),
		"tell":          nova.Method(tell),
		"setting":       nova.Method(setting),
		"remember":      nova.Method(remember),
		"recall":        nova.Method(recall),
		"fill":          nova.Method(fill),
		"forget":        nova.Method(forget),
		"count":         nova.Method(countBy),
		"exchange":      nova.Method(exchange),
		"fetch":         nova.Method(fetch),
		"fetch_json":    nova.Method(fetchJSON),
		"fetch_kindly":  nova.Method(fetchKindly),
	}})
}

type nothing struct{}

type pair[T any] struct{ A, B T }

func add(args pair[int64]) (int64, error) {
	sum := args.A + args.B
	if (sum > args.A) != (args.B > 0) && args.B != 0 {
		return 0, nova.Raise("OverflowError", "integer overflow")
	}
	return sum, nil
}

func divide(args pair[float64]) (float64, error) {
	if args.B == 0 {
		return 0, nova.Raise("ZeroDivisionError", "division by zero")
	}
	return args.A / args.B, nil
}

// A RawMessage is any value, to the letter.
func echo(args struct{ Value json.RawMessage }) (json.RawMessage, error) { return args.Value, nil }

func concat(args struct {
	Texts     []string
	Separator string `json:"separator,omitempty"`
}) (string, error) {
	return strings.Join(args.Texts, args.Separator), nil
}

func blob(args struct{ Size int }) (string, error) { return strings.Repeat("x", args.Size), nil }

func notFound(args struct {
	Instance string `json:"instance_id"`
}) (any, error) {
	return nil, &nova.Failure{
		Module:  "nova.exception",
		Class:   "InstanceNotFound",
		Message: fmt.Sprintf("Instance %s could not be found.", args.Instance),
		Kwargs:  map[string]any{"instance_id": args.Instance, "code": 404},
	}
}

func context(nothing) (any, error) {
	var context json.RawMessage
	err := nova.Context(&context)
	return context, err
}

func log(args struct{ Message string }) (any, error) {
	nova.Log(nova.Info, args.Message)
	fmt.Println("printed " + args.Message)
	return nil, nil
}

func panics(args struct{ Message string }) (any, error) { panic(args.Message) }

func loopForever(nothing) (any, error) {
	for {
	}
}

func allocate(args struct{ Mib int }) (int, error) {
	block := make([]byte, args.Mib<<20)
	for at := 0; at < len(block); at += 1 << 16 {
		block[at] = 1
	}
	return len(block), nil
}

var count int

func calls(nothing) (int, error) {
	count++
	return count, nil
}

func objectAction(args struct{ Objmethod string }) (string, error) {
	if args.Objmethod != "save" {
		return "", fmt.Errorf("method %s is not mine: %w", args.Objmethod, nova.ErrDeclined)
	}
	return "saved", nil
}

func mark(args struct{ Step string }) (bool, error) {
	trace.SetAttribute("calc.step", args.Step)
	trace.SetAttribute("calc.count", 3)
	trace.SetAttribute("calc.share", 0.5)
	trace.SetAttribute("calc.done", true)
	trace.AddEvent("step done", trace.Attributes{"calc.count": 3, "calc.step": args.Step})
	return trace.IsRecording(), nil
}
