// Package export_acme_calculator_api is the calculator that every language has, typed, in Go: the functions of
// wit/calculator.wit.
package export_acme_calculator_api

import (
	"fmt"
	"strings"

	"nova-host/nova/trace"
	. "wit_component/acme_calculator_api"
	"wit_component/nova_rpc_log"
	"wit_component/nova_rpc_request_info"
	"wit_component/nova_rpc_types"

	. "go.bytecodealliance.org/pkg/wit/types"
)

func Add(a, b int64) Result[int64, Problem] {
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return Err[int64](MakeProblemOverflowError("integer overflow"))
	}
	return Ok[int64, Problem](sum)
}

func Divide(a, b float64) Result[float64, Problem] {
	if b == 0 {
		return Err[float64](MakeProblemZeroDivisionError("division by zero"))
	}
	return Ok[float64, Problem](a / b)
}

func Echo(value nova_rpc_types.JsonValue) nova_rpc_types.JsonValue { return value }

func Concat(texts []string, separator Option[string]) string { return strings.Join(texts, separator.SomeOr("")) }

func Blob(size uint32) string { return strings.Repeat("x", int(size)) }

func NotFound(instance string) Result[Unit, Problem] {
	message := fmt.Sprintf("Instance %s could not be found.", instance)
	return Err[Unit](MakeProblemInstanceNotFound(Missing{Message: message, InstanceId: instance, Code: 404}))
}

func Context() nova_rpc_types.JsonValue {
	return nova_rpc_types.JsonValue{JsonText: nova_rpc_request_info.Context()}
}

func Log(message string) {
	nova_rpc_log.Write(nova_rpc_log.LevelInfo, message)
	fmt.Println("printed " + message)
}

func Panic(message string) { panic(message) }

func LoopForever() {
	for {
	}
}

func Allocate(mib uint32) uint64 {
	block := make([]byte, int(mib)<<20)
	for at := 0; at < len(block); at += 1 << 16 {
		block[at] = 1
	}
	return uint64(len(block))
}

var count uint64

func Calls() uint64 {
	count++
	return count
}

func ObjectAction(objmethod string) string {
	if objmethod != "save" {
		nova_rpc_request_info.Decline()
		return ""
	}
	return "saved"
}

func Mark(step string) bool {
	trace.SetAttribute("calc.step", step)
	trace.SetAttribute("calc.count", 3)
	trace.SetAttribute("calc.share", 0.5)
	trace.SetAttribute("calc.done", true)
	trace.AddEvent("step done", trace.Attributes{"calc.count": 3, "calc.step": step})
	return trace.IsRecording()
}
