"""Open cores, simulated from their register-transfer code: true cycles for what the timing models say of RV32."""
