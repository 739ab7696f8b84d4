func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = "tosa.const"() {values = dense_resource<w> : tensor<4xf32>} : () -> tensor<4xf32>
  %y = tosa.add %x, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
{-#
  dialect_resources: { builtin: { w: "0x040000000000803F0000803F0000803F0000803F" } }
#-}
