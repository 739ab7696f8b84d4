// A convolution that widens, a depthwise one, and one that narrows: int8, seven channels between.
func.func @main(%in0: tensor<1x5x4x2xi8>) -> (tensor<1x5x4x4xi8>) {
  %v1 = "tosa.const"() <{values = dense<"0x85408fc7fffc9d7b3f769739cb0a"> : tensor<7x1x1x2xi8>}> : () -> tensor<7x1x1x2xi8>
  %v2 = "tosa.const"() <{values = dense<"0x5103000041feffffc301000059fdffff9dfeffffab03000062ffffff"> : tensor<7xi32>}> : () -> tensor<7xi32>
  %v3 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v4 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v5 = tosa.conv2d %in0, %v1, %v2, %v3, %v4 {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x5x4x2xi8>, tensor<7x1x1x2xi8>, tensor<7xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x5x4x7xi32>
  %v6 = "tosa.const"() <{values = dense<"0x44a28330"> : tensor<1xi32>}> : () -> tensor<1xi32>
  %v7 = "tosa.const"() <{values = dense<"0x26"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v8 = "tosa.const"() <{values = dense<"0x00000000"> : tensor<1xi32>}> : () -> tensor<1xi32>
  %v9 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v10 = tosa.rescale %v5, %v6, %v7, %v8, %v9 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<1x5x4x7xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x5x4x7xi8>
  %v11 = "tosa.const"() <{values = dense<"0xca9dec1ff446dc1c456aed8a37075ff5de8ff524455ab7174dc2d85714022c027b408da50b51912e42495fb10e4ddbb0fa94b85a2a5c5760cff81ec66b8156"> : tensor<3x3x7x1xi8>}> : () -> tensor<3x3x7x1xi8>
  %v12 = "tosa.const"() <{values = dense<"0x2301000012feffffb701000052ffffff9f020000e40300004bfeffff"> : tensor<7xi32>}> : () -> tensor<7xi32>
  %v13 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v14 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v15 = tosa.depthwise_conv2d %v10, %v11, %v12, %v13, %v14 {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x5x4x7xi8>, tensor<3x3x7x1xi8>, tensor<7xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x5x4x7xi32>
  %v16 = "tosa.const"() <{values = dense<"0xe2820a2f"> : tensor<1xi32>}> : () -> tensor<1xi32>
  %v17 = "tosa.const"() <{values = dense<"0x26"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v18 = "tosa.const"() <{values = dense<"0x00000000"> : tensor<1xi32>}> : () -> tensor<1xi32>
  %v19 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v20 = tosa.rescale %v15, %v16, %v17, %v18, %v19 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<1x5x4x7xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x5x4x7xi8>
  %v21 = "tosa.const"() <{values = dense<"0xb73123584e7a7665a68afbd8654cec13166486fd2cf36b7353f66292"> : tensor<4x1x1x7xi8>}> : () -> tensor<4x1x1x7xi8>
  %v22 = "tosa.const"() <{values = dense<"0x4001000030feffff03feffff66010000"> : tensor<4xi32>}> : () -> tensor<4xi32>
  %v23 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v24 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v25 = tosa.conv2d %v20, %v21, %v22, %v23, %v24 {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x5x4x7xi8>, tensor<4x1x1x7xi8>, tensor<4xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x5x4x4xi32>
  %v26 = "tosa.const"() <{values = dense<"0xf6b09738"> : tensor<1xi32>}> : () -> tensor<1xi32>
  %v27 = "tosa.const"() <{values = dense<"0x25"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v28 = "tosa.const"() <{values = dense<"0x00000000"> : tensor<1xi32>}> : () -> tensor<1xi32>
  %v29 = "tosa.const"() <{values = dense<"0x00"> : tensor<1xi8>}> : () -> tensor<1xi8>
  %v30 = tosa.rescale %v25, %v26, %v27, %v28, %v29 {input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true} : (tensor<1x5x4x4xi32>, tensor<1xi32>, tensor<1xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x5x4x4xi8>
  return %v30 : tensor<1x5x4x4xi8>
}
