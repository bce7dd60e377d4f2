module calculator

go 1.25
