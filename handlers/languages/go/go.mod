module calculator

go 1.25

require nova-host/nova v0.0.0

replace nova-host/nova => ./.nova/go/nova
