package config

import "wit_component/nova_rpc_config"

func init() {
	Values = func() map[string]string {
		values := map[string]string{}
		all := nova_rpc_config.GetAll()
		// The host has read them all before: there is no error.
		for _, value := range all.Ok() {
			values[value.F0] = value.F1
		}
		return values
	}
}
