// OpenHW's CV32E40P without FPU, PULP's instructions, debugger and interrupts.

module core (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic [31:0] boot_addr_i,
    output logic        instr_req_o,
    output logic [31:0] instr_addr_o,
    input  logic        instr_rvalid_i,
    input  logic [31:0] instr_rdata_i,
    output logic        data_req_o,
    output logic        data_we_o,
    output logic [ 3:0] data_be_o,
    output logic [31:0] data_addr_o,
    output logic [31:0] data_wdata_o,
    input  logic        data_rvalid_i,
    input  logic [31:0] data_rdata_i
);
  cv32e40p_core cv32e40p (
      .clk_i,
      .rst_ni,
      .pulp_clock_en_i    (1'b0),
      .scan_cg_en_i       (1'b0),
      .boot_addr_i,
      .mtvec_addr_i       (boot_addr_i),
      .dm_halt_addr_i     (32'd0),
      .hart_id_i          (32'd0),
      .dm_exception_addr_i(32'd0),
      .instr_req_o,
      .instr_gnt_i        (1'b1),
      .instr_rvalid_i,
      .instr_addr_o,
      .instr_rdata_i,
      .data_req_o,
      .data_gnt_i         (1'b1),
      .data_rvalid_i,
      .data_we_o,
      .data_be_o,
      .data_addr_o,
      .data_wdata_o,
      .data_rdata_i,
      .apu_busy_o         (),
      .apu_req_o          (),
      .apu_gnt_i          (1'b0),
      .apu_operands_o     (),
      .apu_op_o           (),
      .apu_flags_o        (),
      .apu_rvalid_i       (1'b0),
      .apu_result_i       (32'd0),
      .apu_flags_i        ('0),
      .irq_i              (32'd0),
      .irq_ack_o          (),
      .irq_id_o           (),
      .debug_req_i        (1'b0),
      .debug_havereset_o  (),
      .debug_running_o    (),
      .debug_halted_o     (),
      .fetch_enable_i     (1'b1),
      .core_sleep_o       ()
  );
endmodule

// The core's clock gate, which its authors leave to whoever makes the chip: the latch is open while the clock is low.
module cv32e40p_clock_gate (
    input  logic clk_i,
    input  logic en_i,
    input  logic scan_cg_en_i,
    output logic clk_o
);
  logic enabled;
  always_latch if (!clk_i) enabled = en_i | scan_cg_en_i;
  assign clk_o = clk_i & enabled;
endmodule
