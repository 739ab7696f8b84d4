// lowRISC's Ibex with its register file and nothing else: no instruction cache, no debugger, no interrupts.

module core import ibex_pkg::*; (
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
  logic [4:0] first_address, second_address, written_address;
  logic [31:0] first, second, written;
  logic writes;
  // what an instruction cache would keep; there is none
  logic [IC_TAG_SIZE-1:0] tags[IC_NUM_WAYS];
  logic [IC_LINE_SIZE-1:0] lines[IC_NUM_WAYS];
  assign tags = '{default: '0};
  assign lines = '{default: '0};

  ibex_core #(
      .RV32M          (RV32MSingleCycle),
      .BranchTargetALU(1'b0),
      .WritebackStage (1'b1)
  ) ibex (
      .clk_i,
      .rst_ni,
      .hart_id_i             (32'd0),
      .boot_addr_i,
      .instr_req_o,
      .instr_gnt_i           (1'b1),
      .instr_rvalid_i,
      .instr_addr_o,
      .instr_rdata_i,
      .instr_err_i           (1'b0),
      .data_req_o,
      .data_gnt_i            (1'b1),
      .data_rvalid_i,
      .data_we_o,
      .data_be_o,
      .data_addr_o,
      .data_wdata_o,
      .data_rdata_i,
      .data_err_i            (1'b0),
      .dummy_instr_id_o      (),
      .dummy_instr_wb_o      (),
      .rf_raddr_a_o          (first_address),
      .rf_raddr_b_o          (second_address),
      .rf_waddr_wb_o         (written_address),
      .rf_we_wb_o            (writes),
      .rf_wdata_wb_ecc_o     (written),
      .rf_rdata_a_ecc_i      (first),
      .rf_rdata_b_ecc_i      (second),
      .ic_tag_req_o          (),
      .ic_tag_write_o        (),
      .ic_tag_addr_o         (),
      .ic_tag_wdata_o        (),
      .ic_tag_rdata_i        (tags),
      .ic_data_req_o         (),
      .ic_data_write_o       (),
      .ic_data_addr_o        (),
      .ic_data_wdata_o       (),
      .ic_data_rdata_i       (lines),
      .ic_scr_key_valid_i    (1'b0),
      .ic_scr_key_req_o      (),
      .irq_software_i        (1'b0),
      .irq_timer_i           (1'b0),
      .irq_external_i        (1'b0),
      .irq_fast_i            (15'd0),
      .irq_nm_i              (1'b0),
      .irq_pending_o         (),
      .debug_req_i           (1'b0),
      .crash_dump_o          (),
      .double_fault_seen_o   (),
      .fetch_enable_i        (IbexMuBiOn),
      .alert_minor_o         (),
      .alert_major_internal_o(),
      .alert_major_bus_o     (),
      .core_busy_o           ()
  );

  ibex_register_file_ff registers (
      .clk_i,
      .rst_ni,
      .test_en_i       (1'b0),
      .dummy_instr_id_i(1'b0),
      .dummy_instr_wb_i(1'b0),
      .raddr_a_i       (first_address),
      .rdata_a_o       (first),
      .raddr_b_i       (second_address),
      .rdata_b_o       (second),
      .waddr_a_i       (written_address),
      .wdata_a_i       (written),
      .we_a_i          (writes),
      .err_o           ()
  );
endmodule
