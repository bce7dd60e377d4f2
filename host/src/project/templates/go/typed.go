// Package export_acme_greeter_api greets people: the functions of wit/greeter.wit. The bindings call it by this name.
package export_acme_greeter_api

import . "go.bytecodealliance.org/pkg/wit/types"

func Greet(name string) Result[string, string] {
	if name == "" {
		return Err[string]("nobody to greet")
	}
	return Ok[string, string]("hello, " + name)
}
